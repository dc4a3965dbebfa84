from __future__ import annotations

import dataclasses
import datetime as dt
from ipaddress import ip_address

import pytest
from report_estate import (
    OWN,
    PARTNER,
    RUN,
    STARTED,
    UNKNOWNS,
    decision,
    estate,
    exposed,
    findings_of,
    history,
    moved_here,
)

from leadapron.errors import InputError
from leadapron.model import DispositionKind, Endpoint, Finding, FindingStatus, Moved, Observation
from leadapron.report.feeds import Feeds, feeds
from leadapron.report.owners import By
from leadapron.report.view import View, build_view


def keys(made: Feeds) -> dict[str, set[str]]:
    return {feed.group.name: {entry.finding.key for entry in feed.entries} for feed in made.feeds}


def view_of(observations: list[Observation], findings: list[Finding] | None = None, **decisions: object) -> View:
    findings = findings_of(observations) if findings is None else findings
    return build_view(RUN, observations, findings, UNKNOWNS, decisions)  # type: ignore[arg-type]


def test_each_finding_stands_in_the_feed_of_its_owner_and_in_no_other(view: View) -> None:
    made = feeds(view, By.COUNTRY)
    assert [feed.group.name for feed in made.feeds] == ["DE", "IT"]
    assert sum(len(feed.entries) for feed in made.feeds) == len(view.findings)
    for feed in made.feeds:
        assert feed.entries
        for entry in feed.entries:
            assert entry.seen is not None
            assert entry.seen.owner.country == feed.group.name
        ranks = [entry.finding.severity.rank for entry in feed.entries]
        assert ranks == sorted(ranks, reverse=True)
    assert [feed.group.name for feed in feeds(view, By.AS).feeds] == ["AS64500", "unknown"]
    assert [feed.group.name for feed in feeds(view, By.PARTY).feeds] == ["Example Teleradiology", "unknown"]
    assert [feed.group.name for feed in feeds(view, By.GRANT).feeds] == [OWN.grant, PARTNER.grant]


def test_only_what_this_run_saw_stands() -> None:
    seen = estate()
    whole = view_of(seen, [*findings_of(seen), *history()])
    assert whole.history
    assert keys(feeds(whole, By.COUNTRY)) == keys(feeds(view_of(seen), By.COUNTRY))


def test_what_was_decided_to_be_none_is_left_out_and_counted() -> None:
    seen = [exposed("198.18.0.1")]
    first, second, third, *_ = findings_of(seen)
    made = feeds(
        view_of(
            seen,
            **{
                first.key: decision(first.key, DispositionKind.FALSE_POSITIVE),
                second.key: decision(second.key, DispositionKind.FALSE_POSITIVE, is_expired=True),
                third.key: decision(third.key, DispositionKind.ACCEPTED),
            },
        ),
        By.COUNTRY,
    )
    assert keys(made) == {"DE": {each.key for each in findings_of(seen)} - {first.key}}
    assert made.false_positives == 1


def test_what_could_not_be_seen_is_counted(view: View) -> None:
    made = feeds(view, By.COUNTRY)
    assert made.unknowns == sum(unknown.count for unknown in view.unknowns)
    assert made.unknowns > sum(unknown.count for unknown in UNKNOWNS)


def test_only_the_groups_that_are_named(view: View) -> None:
    assert [feed.group.name for feed in feeds(view, By.COUNTRY, ["it"]).feeds] == ["IT"]
    with pytest.raises(InputError, match="--only 'FR'"):
        feeds(view, By.COUNTRY, ["FR"])


@pytest.mark.parametrize(
    ("before", "since"), [("198.18.0.91", STARTED), ("198.18.0.20", STARTED - dt.timedelta(days=9))]
)
def test_a_place_of_somebody_else_dates_nothing(before: str, since: dt.datetime) -> None:
    """A service that came from another place stands, for who has it now, since it came."""
    early = STARTED - dt.timedelta(days=9)
    moved = Moved(key="6" * 16, endpoint=Endpoint(address=ip_address(before), port=104), because=("name",))
    finding = dataclasses.replace(moved_here(), first_seen=early, moved_from=moved, status=FindingStatus.OPEN)
    made = feeds(view_of([exposed("198.18.0.20")], [finding]), By.COUNTRY)
    ((entry,),) = [feed.entries for feed in made.feeds]
    assert entry.first_seen == since


def test_nothing_stands() -> None:
    assert feeds(view_of([]), By.COUNTRY).feeds == ()
