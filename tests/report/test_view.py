from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_estate import RUN, UNKNOWNS, bound, closed, estate, exposed, findings_of, history, seen

from leadapron.model import (
    Access,
    Count,
    CountKind,
    Counts,
    CountSource,
    Endpoint,
    Failed,
    FindingStatus,
    Observation,
    Owner,
    Reason,
    RunStatus,
    Severity,
    Stage,
    Unknown,
    Verdict,
)
from leadapron.report.view import View, build_view, total

ESTIMATE = Count(value=50, low=40, high=60, kind=CountKind.ESTIMATE, source=CountSource.SAMPLED)


def summed(*counts: Count | None) -> tuple[int, int, int | None, str, str] | None:
    result = total(counts)
    return result and (result.value, result.low, result.high, result.kind.value, result.source.value)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((), None),
        ((None, None), None),
        ((Count.exact(3), Count.exact(4)), (7, 7, 7, "exact", "enumerated")),
        ((Count.exact(3), None), (3, 3, None, "bound", "enumerated")),
        ((Count.exact(3), bound(4)), (7, 7, None, "bound", "enumerated")),
        ((Count.exact(3), bound(4, 9)), (7, 7, 12, "bound", "enumerated")),
        ((Count.exact(3), ESTIMATE), (53, 43, 63, "estimate", "sampled")),
        ((bound(4), ESTIMATE), (54, 44, None, "bound", "sampled")),
        ((Count.exact(3, CountSource.CLAIMED), Count.exact(4)), (7, 7, 7, "exact", "claimed")),
    ],
)
def test_a_sum_is_worth_what_its_weakest_part_is(
    counts: tuple[Count | None, ...], expected: tuple[int, int, int | None, str, str] | None
) -> None:
    assert summed(*counts) == expected


COUNTS = st.builds(
    lambda low, more, up, kind: Count(
        value=low + more,
        low=low,
        high=None if up is None else low + more + up,
        kind=kind,
        source=CountSource.ENUMERATED,
    ),
    st.integers(0, 10**9),
    st.integers(0, 10),
    st.none() | st.integers(0, 10),
    st.sampled_from([CountKind.BOUND, CountKind.ESTIMATE]),
) | st.integers(0, 10**9).map(Count.exact)


@given(st.lists(st.none() | COUNTS))
def test_a_sum_never_claims_more_than_its_parts(counts: list[Count | None]) -> None:
    result = total(counts)
    known = [count for count in counts if count]
    if result is None:
        assert not known
        return
    assert result.low == sum(count.low for count in known) <= result.value
    exact = len(known) == len(counts) and all(count.kind is CountKind.EXACT for count in known)
    assert (result.kind is CountKind.EXACT) == exact
    if result.high is None:
        assert result.kind is CountKind.BOUND
    else:
        assert result.value <= result.high


def test_totals_count_exposed_services_only(view: View) -> None:
    totals = view.totals
    assert (totals.services, totals.exposed_services) == (9, 4)
    assert (totals.servers, totals.exposed_servers) == (9, 4)
    assert (totals.endpoints_tried, totals.endpoints_reached) == (1024, 39)
    assert totals.studies == bound(4210)
    assert totals.images is not None
    assert (totals.images.low, totals.images.high, totals.images.kind) == (475_142, None, CountKind.BOUND)
    assert totals.worklist == Count.exact(86)
    assert totals.unique is None
    assert totals.genuine_images is None
    assert {country: part.services for country, part in totals.countries.items()} == {"DE": 2, "IT": 2}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "DE", "IT"]),
            st.sampled_from([None, bound(7), bound(3, 9), Count.exact(5), Count.exact(0), ESTIMATE]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_countries_add_up_to_the_totals(services: list[tuple[str, Count | None, bool]]) -> None:
    observations = [
        (exposed if is_exposed else seen)(
            f"198.18.0.{number}", owner=Owner(grant="g", country=country), counts=Counts(images=images)
        )
        for number, (country, images, is_exposed) in enumerate(services)
    ]
    totals = build_view(RUN, observations, [], []).totals
    parts = list(totals.countries.values())
    assert list(totals.countries) == sorted({country for country, _, is_exposed in services if is_exposed})
    assert sum(part.services for part in parts) == totals.exposed_services
    assert total([part.images for part in parts]) == totals.images


def test_a_worklist_server_is_no_hole_in_the_sum_of_images() -> None:
    archive = exposed("198.18.0.1", counts=Counts(studies=Count.exact(2), images=Count.exact(20)))
    worklist = exposed("198.18.0.2", counts=Counts(worklist=Count.exact(5)), facts={"context.worklist_find": True})
    uncounted = exposed("198.18.0.3")
    assert build_view(RUN, [archive, worklist], [], []).totals.images == Count.exact(20)
    assert build_view(RUN, [archive, worklist, uncounted], [], []).totals.images == bound(20)


def test_concentration_is_of_exposed_services_whose_images_are_known() -> None:
    observations = [
        *(exposed(f"198.18.0.{count}", counts=Counts(images=Count.exact(count))) for count in (1, 2, 100)),
        exposed("198.18.0.200"),
        exposed("198.18.0.201", counts=Counts(worklist=Count.exact(5)), facts={"context.worklist_find": True}),
        seen("198.18.0.202", counts=Counts(images=Count.exact(5000))),
    ]
    found = build_view(RUN, observations, [], []).totals.concentration
    assert found is not None
    assert (found.services, found.half, found.median) == (3, 1, Count.exact(2))


def test_two_titles_on_one_port_are_two_services_of_one_server() -> None:
    titles = [exposed("198.18.0.1", resource=title, counts=Counts(images=Count.exact(5))) for title in ("A", "B")]
    totals = build_view(RUN, titles, [], []).totals
    assert (totals.exposed_services, totals.exposed_servers, totals.images) == (2, 1, Count.exact(10))


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.NOT_ASKED, Verdict.OFFERED])
def test_what_did_not_refuse_is_not_among_what_refused(verdict: Verdict) -> None:
    view = build_view(RUN, [closed("198.18.0.1", verdict), closed("198.18.0.2", Verdict.REFUSED)], [], [])
    assert [str(item.service.endpoint.address) for item in view.unsettled] == ["198.18.0.1"]
    assert [str(item.service.endpoint.address) for item in view.refused] == ["198.18.0.2"]


def test_a_run_is_settled_when_nothing_is_left_to_ask() -> None:
    refused, connect_only = (
        closed("198.18.0.2", Verdict.REFUSED),
        Unknown(endpoint="grant g, depth connect", stage=Stage.HANDSHAKE, reason=Reason.OUT_OF_SCOPE),
    )
    assert build_view(RUN, [refused, exposed("198.18.0.1")], [], []).is_settled
    assert not build_view(RUN, [closed("198.18.0.1", Verdict.NOT_ASKED)], [], []).is_settled
    assert not build_view(RUN, [refused], [], [connect_only]).is_settled
    for status in set(RunStatus) - {RunStatus.COMPLETE}:
        assert not build_view(dataclasses.replace(RUN, status=status), [refused], [], []).is_settled


def test_a_middlebox_is_no_service_and_never_exposed() -> None:
    middlebox = seen("198.18.0.9", middlebox=True, access=Access(list=Verdict.PROVEN))
    view = build_view(RUN, [middlebox], [], [])
    assert (view.totals.services, view.totals.exposed_services) == (0, 0)
    assert view.exposed == view.refused == view.unsettled == ()


def test_services_come_exposed_first_then_by_severity_then_by_size(view: View) -> None:
    order = [(item.observation.exposed, item.severity) for item in view.exposed]
    assert order[0] == (True, Severity.CRITICAL)
    ranks = [-1 if severity is None else severity.rank for _, severity in order]
    assert ranks == sorted(ranks, reverse=True)
    assert [str(item.service.endpoint) for item in view.exposed] == [
        "198.18.0.12:4242",
        "[2001:db8:18::4f0:1]:104",
        "198.18.0.41:11112",
        "198.18.0.77:104",
    ]
    assert all(item.observation.exposed for item in view.services[:4])
    assert len(view.services) == 9


def test_controls_group_active_findings_worst_first(view: View) -> None:
    ranks = [group.severity.rank for group in view.controls]
    assert ranks == sorted(ranks, reverse=True)
    assert view.controls[0].control == "LA-11"
    assert sum(len(group.findings) for group in view.controls) == len(view.findings)


@pytest.mark.parametrize("status", [FindingStatus.CLOSED, FindingStatus.NOT_OBSERVED])
def test_a_finding_that_is_history_is_listed_but_not_counted(status: FindingStatus) -> None:
    observation = exposed("198.18.0.1")
    findings = [dataclasses.replace(finding, status=status) for finding in findings_of([observation])]
    view = build_view(RUN, [observation], findings, [])
    assert len(view.findings) == len(findings) > 0
    assert view.controls == ()
    assert view.services[0].severity is None
    assert set(view.totals.findings.values()) == {0}


def test_a_finding_that_this_run_did_not_see_is_not_counted() -> None:
    """It lies outside of the run's scope, or the run was stopped before it came there: it stands as it stood."""
    observation = exposed("198.18.0.1")
    earlier = RUN.started_at - dt.timedelta(days=7)
    findings = [dataclasses.replace(finding, last_seen=earlier) for finding in findings_of([observation])]
    view = build_view(RUN, [], findings, [])
    assert len(view.findings) == len(findings) > 0
    assert view.controls == ()
    assert set(view.totals.findings.values()) == {0}


def test_findings_of_earlier_runs_are_history_and_belong_to_no_service() -> None:
    observations, past = estate(), history()
    view = build_view(RUN, observations, [*findings_of(observations), *past], [])
    assert [finding.key for finding in view.history] == [finding.key for finding in past]
    assert all(finding.last_seen == RUN.started_at for item in view.services for finding in item.findings)


def test_a_finding_stored_under_another_name_belongs_to_its_service() -> None:
    observation = exposed("198.18.0.1", name="new.example")
    findings = [
        dataclasses.replace(
            finding,
            service=dataclasses.replace(
                finding.service, endpoint=Endpoint(address=finding.service.endpoint.address, port=104, name="old")
            ),
        )
        for finding in findings_of([observation])
    ]
    assert len(build_view(RUN, [observation], findings, []).services[0].findings) == len(findings)


def test_unknowns_of_services_join_those_of_the_run_once(view: View) -> None:
    assert len(view.unknowns) == len(UNKNOWNS) + 2
    twice = Unknown(endpoint="198.18.0.1:104", stage=Stage.COUNT, reason=Reason.LIMIT, count=1)
    limited = exposed("198.18.0.1", unknowns=(Failed(stage=Stage.COUNT, reason=Reason.LIMIT),))
    assert build_view(RUN, [limited], [], [twice]).unknowns == (twice,)


def test_unknowns_are_grouped_by_stage_and_reason(view: View) -> None:
    assert [(group.stage.value, group.reason.value, group.count) for group in view.unknown_groups] == [
        ("connect", "timeout", 16),
        ("handshake", "middlebox", 20),
        ("handshake", "protocol", 1),
        ("handshake", "reset", 1),
        ("list", "empty", 1),
        ("count", "limit", 1),
    ]


@given(st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_makes_no_difference(shuffle: random.Random) -> None:
    observations, unknowns = estate(), list(UNKNOWNS)
    findings = findings_of(observations)
    expected = build_view(RUN, observations, findings, unknowns)
    for items in (observations, findings, unknowns):
        shuffle.shuffle(items)  # type: ignore[arg-type]
    assert build_view(RUN, observations, findings, unknowns) == expected


def test_an_empty_run_has_an_empty_view(viewed: Callable[..., View]) -> None:
    totals = viewed([]).totals
    assert (totals.services, totals.images, totals.countries) == (0, None, {})


def of_door(protocol: str, port: int, resource: str, verdict: Verdict, images: int | None = None) -> Observation:
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict)
    counts = Counts() if images is None else Counts(images=Count.exact(images))
    item = seen("198.18.0.9", port, resource=resource, access=access, counts=counts)
    return dataclasses.replace(item, service=dataclasses.replace(item.service, protocol=protocol))


def test_a_login_with_a_share_behind_it_is_not_unsettled_for_itself() -> None:
    ask, proven, refused = Verdict.NOT_ASKED, Verdict.PROVEN, Verdict.REFUSED
    login = of_door("ftp", 21, "", ask)
    for behind, is_front in (
        ([of_door("ftp", 21, "/", proven, 7)], True),
        ([of_door("ftp", 21, "/", refused)], True),
        ([of_door("ftp", 21, "/", ask)], False),
        ([of_door("nfs", 2049, "/export", refused)], False),
        ([], False),
    ):
        view = build_view(RUN, [login, *behind], [], [])
        assert (login not in [item.observation for item in view.unsettled]) is is_front
        assert view.is_settled is is_front
        listing = {verdict: count for verdict, count in view.totals.listing.items() if count}
        if behind and behind[0].access.list is refused and is_front:
            assert listing == {refused: 1}


def test_doors_are_counted_by_their_servers() -> None:
    observations = [
        exposed("198.18.0.1", counts=Counts(images=Count.exact(5))),
        closed("198.18.0.2", Verdict.REFUSED),
        of_door("smb", 445, "public", Verdict.PROVEN, 7),
        of_door("smb", 445, "scans", Verdict.PROVEN, 8),
        of_door("nfs", 2049, "", Verdict.REFUSED),
    ]
    doors = build_view(RUN, observations, [], []).totals.doors
    assert list(doors) == ["dicom", "smb", "nfs"]
    found = {name: (part.servers, part.exposed_servers, part.images) for name, part in doors.items()}
    assert found == {"dicom": (2, 1, Count.exact(5)), "smb": (1, 1, Count.exact(15)), "nfs": (1, 0, None)}
