"""Events for IntelMQ, held to a table of the fields that are used: name, type, bounds, as `harmonization.conf` and
`lib/harmonization.py` of IntelMQ have them, 3.0.2 as well as 3.5.0."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from report_estate import OWN, RUN, exposed, findings_of, seen

from leadapron.assess.catalogue import RSIT, catalogue
from leadapron.errors import InputError
from leadapron.model import Owner
from leadapron.report.feeds import feeds
from leadapron.report.feeds_intelmq import render_feed_intelmq
from leadapron.report.owners import By
from leadapron.report.tlp import TLP
from leadapron.report.view import View, build_view

Check = Callable[[Any], bool]


def string(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def lowercase(value: Any) -> bool:
    return string(value) and value == value.lower()


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def moment(value: Any) -> bool:
    """`DateTime`: with the zone, which is UTC."""
    return string(value) and value.endswith("+00:00") and dt.datetime.fromisoformat(value).tzinfo is not None


def fqdn(value: Any) -> bool:
    return lowercase(value) and value.strip(".") == value and ":" not in value and "/" not in value


FIELDS: dict[str, Check] = {
    "classification.identifier": string,
    "classification.taxonomy": lambda value: value in ("vulnerable", "other"),
    "classification.type": lambda value: value in RSIT,
    "event_description.text": string,
    "feed.code": lambda value: string(value) and len(value) <= 100,
    "feed.name": string,
    "feed.provider": string,
    "protocol.application": lambda value: lowercase(value) and re.fullmatch(r"[ -~]{1,100}", value) is not None,
    "protocol.transport": lambda value: value == "tcp",
    "source.as_name": string,
    "source.asn": lambda value: whole(value) and 0 < value <= 4_294_967_295,
    "source.fqdn": fqdn,
    "source.geolocation.cc": lambda value: re.fullmatch(r"[A-Z]{2}", value) is not None,
    "source.ip": lambda value: str(ip_address(value)) == value,
    "source.port": lambda value: whole(value) and 0 < value <= 65_535,
    "time.observation": moment,
    "time.source": moment,
    "tlp": lambda value: value in ("WHITE", "GREEN", "AMBER", "RED"),
}
NEEDED = {"classification.taxonomy", "classification.type", "feed.name", "source.ip", "time.observation", "time.source"}
"""What an event should have, that is acted on."""


def events(view: View, by: By = By.COUNTRY, tlp: str = "amber+strict") -> list[dict[str, Any]]:
    made = feeds(view, by)
    lines = [line for feed in made.feeds for line in render_feed_intelmq(feed, view.run, tlp, "CERT Example")]
    assert all(line.endswith("\n") and line.count("\n") == 1 and line.isascii() for line in lines)
    return [json.loads(line) for line in lines]


def view_of(*observations: Any) -> View:
    return build_view(RUN, observations, findings_of(list(observations)), [])


def test_each_event_keeps_to_the_format(view: View) -> None:
    made = events(view)
    assert len(made) == len(view.findings)
    for event in made:
        assert event.keys() >= NEEDED
        for name, value in event.items():
            if name.startswith("extra."):
                assert re.fullmatch(r"extra\.[a-z_]+", name)
                assert value is not None
            else:
                assert FIELDS[name](value), (name, value)


def test_an_event_says_what_is_open_where(view: View) -> None:
    first, *_ = events(view)
    remedy = first.pop("extra.remedy")
    assert remedy
    assert "\n" not in remedy
    assert first.pop("extra.key")
    assert first == {
        "classification.identifier": "la-11",
        "classification.taxonomy": "vulnerable",
        "classification.type": "information-disclosure",
        "event_description.text": "Anyone can list the archive or the worklist",
        "extra.exposed": True,
        "extra.first_seen": "2026-11-23T17:52:00+00:00",
        "extra.images_low": 412_730,
        "extra.last_seen": "2026-11-23T17:52:00+00:00",
        "extra.product": "Orthanc",
        "extra.resource": "ANY-SCP",
        "extra.run": RUN.id,
        "extra.severity": "critical",
        "extra.status": "new",
        "extra.studies_low": 3890,
        "extra.tlp": "TLP:AMBER+STRICT",
        "extra.vantage": "internet",
        "feed.code": "leadapron",
        "feed.name": "Exposed medical imaging servers",
        "feed.provider": "CERT Example",
        "protocol.application": "dicom",
        "protocol.transport": "tcp",
        "source.as_name": "Example Net",
        "source.asn": 64500,
        "source.fqdn": "pacs.hospital.example",
        "source.geolocation.cc": "DE",
        "source.ip": "198.18.0.12",
        "source.port": 4242,
        "time.observation": "2026-11-23T18:33:00+00:00",
        "time.source": "2026-11-23T17:52:00+00:00",
        "tlp": "AMBER",
    }


def test_what_is_not_known_is_not_said() -> None:
    for event in events(view_of(exposed("198.18.0.1", owner=Owner(grant="g", as_number=0), resource=""))):
        absent = {
            "source.fqdn",
            "source.geolocation.cc",
            "source.asn",
            "source.as_name",
            "extra.resource",
            "extra.product",
        }
        assert not absent & event.keys()
        assert "extra.studies_low" not in event


@pytest.mark.parametrize("marking", TLP)
def test_each_marking_has_its_level(marking: str) -> None:
    event = events(view_of(exposed("198.18.0.1")), tlp=marking)[0]
    assert event["extra.tlp"] == marking
    assert FIELDS["tlp"](event["tlp"])
    assert (event["tlp"] == "WHITE") == (marking == "TLP:CLEAR")


def test_a_marking_that_is_none_is_a_mistake() -> None:
    with pytest.raises(InputError, match="no marking"):
        events(view_of(exposed("198.18.0.1")), tlp="pink")


def test_grants_and_parties_stay_in_our_house() -> None:
    owner = Owner(grant="SECRET-GRANT", party="SECRET-PARTY", country="DE")
    view = view_of(exposed("198.18.0.1", owner=owner), seen("198.18.0.2", owner=OWN))
    assert "SECRET" not in json.dumps(events(view, By.PARTY))


def test_a_text_acts_on_nobodys_screen() -> None:
    hostile = "\x1b[31m\u202e\nx"
    for event in events(view_of(exposed("198.18.0.1", resource=hostile, owner=Owner(grant="g", as_name=hostile)))):
        assert not re.search("[\x1b\u202e\n]", json.dumps(event, ensure_ascii=False).replace("\\n", "\n"))


def test_a_control_that_is_not_known_any_more_is_undetermined() -> None:
    view = view_of(exposed("198.18.0.1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leadapron.report.feeds_intelmq.catalogue", dict)
        assert {event["classification.type"] for event in events(view)} == {"undetermined"}


def test_each_control_has_a_type_of_the_taxonomy() -> None:
    assert {control.rsit for control in catalogue().values()} == set(RSIT)
