from __future__ import annotations

import dataclasses
import json

import jsonschema
import pytest
from report_estate import RUN, make_view

from leadapron.errors import InputError
from leadapron.model import RunStatus
from leadapron.report.feeds import feeds
from leadapron.report.feeds_index import feeds_document, feeds_schema, render_index
from leadapron.report.owners import By
from leadapron.report.view import View

VALIDATOR = jsonschema.Draft202012Validator(feeds_schema())


def document(view: View, by: By = By.COUNTRY) -> dict[str, object]:
    made = feeds(view, by)
    return feeds_document(made, [(feed, f"{feed.group.stem}.csv", "0f" * 32) for feed in made.feeds], "amber")


@pytest.mark.parametrize("by", By)
def test_it_keeps_to_its_schema(view: View, by: By) -> None:
    jsonschema.Draft202012Validator.check_schema(feeds_schema())
    VALIDATOR.validate(document(view, by))
    VALIDATOR.validate(json.loads(render_index(document(make_view([]), by))))


def test_it_sums_each_feed_over_its_open_services(view: View) -> None:
    german, italian = document(view)["feeds"]  # type: ignore[misc]
    assert (german["group"], german["file"], german["exposed_services"]) == ("DE", "DE.csv", 2)
    assert german["studies"] == {"value": 3890, "low": 3890, "high": 3890, "kind": "exact", "source": "enumerated"}
    assert (italian["exposed_services"], italian["studies"]["low"], italian["studies"]["kind"]) == (2, 320, "bound")
    assert german["findings"] + italian["findings"] == len(view.findings)
    assert sum(german["severities"].values()) == german["findings"]


def test_it_says_what_is_not_in_the_feeds(view: View) -> None:
    said = document(view)
    assert (said["tlp"], said["left_out"]) == ("TLP:AMBER", {"false_positive": 0})
    assert said["unknowns"] == sum(unknown.count for unknown in view.unknowns)
    going = dataclasses.replace(view, run=dataclasses.replace(RUN, status=RunStatus.RUNNING, finished_at=None))
    run = document(going)["run"]
    VALIDATOR.validate(document(going))
    assert (run["status"], run["finished_at"]) == ("incomplete", None)  # type: ignore[index]


def test_a_marking_that_is_none_is_a_mistake(view: View) -> None:
    with pytest.raises(InputError, match="no marking"):
        feeds_document(feeds(view, By.AS), [], "pink")
