from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scope_samples import NOON, Clock, grant, scope, zone

from leadapron.model import Depth
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.gate import REASONS, Gate
from leadapron.scope.grant import Ports, Scope
from leadapron.scope.window import Window

HOST = IPv4Address("10.0.0.1")


def reason(gate: Gate, address: str = "10.0.0.1", port: int = 104, depth: Depth = Depth.CONNECT) -> Denied | None:
    decision = gate.decide(ip_address(address), port, depth)
    return decision.reason if isinstance(decision, Denial) else None


def test_a_permit_says_how_deep_until_when_and_how_gently() -> None:
    gentle = zone("10.0.0.0/25", max_depth=Depth.TALK, gap_seconds=2.0, window=Window.parse("11:00-13:00 UTC"))
    gate = Gate(scope(grant("10.0.0.0/24", id="g"), zones=(gentle,)), clock=Clock())
    assert gate.decide(HOST, 104, Depth.TALK) == Permit(
        address=HOST,
        port=104,
        depth=Depth.TALK,
        grant="g",
        zone="gentle",
        gap_seconds=2.0,
        expires=dt.datetime(2026, 11, 20, 13, tzinfo=dt.UTC),
    )
    free = gate.decide(IPv4Address("10.0.0.200"), 11112)
    assert isinstance(free, Permit)
    assert (free.depth, free.zone, free.expires) == (Depth.CENSUS, "", dt.datetime(2027, 2, 2, tzinfo=dt.UTC))


def test_each_denial_has_its_reason() -> None:
    gentle = zone("10.0.0.128/25", window=Window.parse("22:00-05:00 Europe/Berlin"))
    subject = scope(
        grant("10.0.0.0/24", id="now", depth=Depth.COUNT, exclude=["10.0.0.7"]),
        grant("10.0.1.0/24", id="past", valid_until=dt.date(2026, 11, 19)),
        grant("10.0.2.0/24", id="later", valid_from=dt.date(2026, 11, 21)),
        grant("8.0.0.0/6", id="wide", wide=True),
        zones=(gentle,),
    )
    gate = Gate(subject, clock=Clock())
    assert reason(gate) is None
    assert reason(gate, "12.0.0.1") is Denied.NO_GRANT
    assert reason(gate, "10.0.0.7") is Denied.EXCLUDED
    assert reason(gate, "10.0.1.1") is Denied.EXPIRED
    assert reason(gate, "10.0.2.1") is Denied.NOT_YET
    assert reason(gate, "10.0.0.128") is Denied.WINDOW
    assert reason(gate, "10.9.0.1") is Denied.SPECIAL
    assert reason(gate, port=105) is Denied.PORT
    assert reason(gate, depth=Depth.CENSUS) is Denied.DEPTH
    denial = gate.decide(ip_address("10.0.1.1"), 104)
    assert isinstance(denial, Denial)
    assert denial.explanation == "the validity of grant 'past' ended on 2026-11-19 (UTC)"


@pytest.mark.parametrize("inner", ["10.0.0.64/28", "10.0.0.0/24"])
def test_of_overlapping_zones_every_window_has_to_be_open_and_the_longest_gap_holds(inner: str) -> None:
    zones = (
        zone("10.0.0.0/24", name="day", window=Window.parse("08:00-13:00 UTC"), gap_seconds=1.0),
        zone(inner, name="noon", window=Window.parse("11:00-14:00 UTC"), max_depth=Depth.CONNECT),
        zone("10.0.0.64/26", name="slow", gap_seconds=2.0, max_depth=Depth.TALK),
    )
    clock = Clock()
    gate = Gate(scope(grant("10.0.0.0/24", id="g"), zones=zones), clock=clock)

    permit = gate.decide(IPv4Address("10.0.0.65"), 104)

    assert isinstance(permit, Permit)
    assert (permit.depth, permit.zone, permit.gap_seconds) == (Depth.CONNECT, "slow", 2.0)
    assert permit.expires == dt.datetime(2026, 11, 20, 13, tzinfo=dt.UTC)
    denial = gate.decide(IPv4Address("10.0.0.65"), 104, Depth.TALK)
    assert isinstance(denial, Denial)
    assert denial.explanation == "zone 'noon' goes as far as connect, not talk"
    for hour, shut in ((10, "noon"), (13, "day")):
        clock.now = dt.datetime(2026, 11, 20, hour, tzinfo=dt.UTC)
        denial = gate.decide(IPv4Address("10.0.0.65"), 104)
        assert isinstance(denial, Denial)
        assert denial.reason is Denied.WINDOW
        assert denial.explanation.startswith(f"zone '{shut}' is only open")
        assert gate.dial_allowed("10.0.0.65", 104) is Denied.WINDOW
        assert gate.depth_now(IPv4Address("10.0.0.65")) == 0


def test_both_days_are_included_to_the_second() -> None:
    clock = Clock()
    gate = Gate(scope(grant("10.0.0.0/24")), clock=clock)
    for now, expected in [
        ("2026-10-31T23:59:59.999999", Denied.NOT_YET),
        ("2026-11-01T00:00:00", None),
        ("2027-02-01T23:59:59.999999", None),
        ("2027-02-02T00:00:00", Denied.EXPIRED),
        ("2026-11-01T00:00:00", None),  # a clock that goes back is believed
    ]:
        clock.now = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
        assert reason(gate) is expected
        assert gate.dial_allowed("10.0.0.1", 104) is expected
        assert bool(gate.depth_now(HOST)) is (expected is None)


def test_a_grant_that_is_renewed_goes_on() -> None:
    """The same network, granted anew: whichever holds decides, and of both the lower depth."""
    clock = Clock()
    new = grant(
        "10.0.0.0/24", id="new", valid_from=dt.date(2026, 11, 25), valid_until=dt.date(2027, 3, 1), depth=Depth.TALK
    )
    gate = Gate(scope(grant("10.0.0.0/24", id="old", valid_until=dt.date(2026, 11, 30)), new), clock=clock)
    held = []
    for day in (20, 27, 31):
        clock.now = dt.datetime(2026, 11, 1, tzinfo=dt.UTC) + dt.timedelta(day)
        permit = gate.decide(HOST, 104)
        assert isinstance(permit, Permit)
        held.append((permit.grant, permit.depth))
    assert held == [("old", Depth.CENSUS), ("new", Depth.TALK), ("new", Depth.TALK)]


def test_between_two_grants_the_next_one_is_named() -> None:
    past = grant("10.0.0.0/24", id="old", valid_until=dt.date(2026, 11, 10))
    later = grant("10.0.0.0/24", id="new", valid_from=dt.date(2026, 12, 1))
    assert reason(Gate(scope(past, later), clock=Clock())) is Denied.NOT_YET


def test_a_more_exact_grant_that_has_ended_is_not_replaced_by_a_wider_one() -> None:
    past = grant("10.0.0.0/24", id="partner", valid_until=dt.date(2026, 11, 19))
    assert reason(Gate(scope(grant("10.0.0.0/16", id="own"), past), clock=Clock())) is Denied.EXPIRED


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("10.0.0.1", 104, None),
        ("::ffff:10.0.0.1", 104, None),
        ("::ffff:10.0.0.7", 104, Denied.EXCLUDED),
        ("10.0.0.1", 105, Denied.PORT),
        ("10.0.0.7", 104, Denied.EXCLUDED),
        ("10.0.0.7", 5432, None),  # our own, although it may not be a target
        ("10.0.0.7", 5433, Denied.EXCLUDED),
        ("192.0.2.53", 53, None),
        ("2001:db8::53", 53, None),
        ("fe80::1%eth0", 104, None),
        ("fe80::2%eth0", 104, Denied.NO_GRANT),
        ("localhost", 104, Denied.NAME),
        ("10.1", 104, Denied.NAME),
        ("010.0.0.1", 104, Denied.NAME),
        ("", 104, Denied.NAME),
        ("<broadcast>", 104, Denied.NAME),
        ("10.0.0.1\0", 104, Denied.NAME),
    ],
)
def test_the_fast_path(host: str, port: int, expected: Denied | None) -> None:
    ours = (("10.0.0.7", 5432), ("db.example", 53), ("2001:db8::53", 53))
    subject = scope(grant("10.0.0.0/24", "fe80::1/128", exclude=["10.0.0.7"]), infrastructure=ours)
    gate = Gate(subject, pins={"db.example": (IPv4Address("192.0.2.53"),)}, clock=Clock())
    assert gate.dial_allowed(host, port) is expected


def test_infrastructure_is_never_a_target() -> None:
    gate = Gate(scope(grant("10.0.0.0/24"), infrastructure=(("10.0.0.7", 104),)), clock=Clock())
    assert reason(gate, "10.0.0.7") is Denied.EXCLUDED
    assert gate.depth_now(IPv4Address("10.0.0.7")) == 0


def test_a_scope_read_again_can_only_narrow() -> None:
    clock = Clock()
    first = scope(grant("10.0.0.0/24", "10.0.1.0/24"), infrastructure=(("10.9.9.9", 53),))
    gate = Gate(first, clock=clock)
    gate.narrow(
        scope(
            grant("10.0.0.0/24", "10.0.2.0/24", id="other", depth=Depth.TALK, exclude=["10.0.0.7"]),
            ports=Ports.of(dicom=(104, 4242)),
            zones=(zone("10.0.0.64/26", name="late", gap_seconds=3.0),),
            infrastructure=(("10.8.8.8", 53),),
            sha256="1" * 64,
        )
    )
    permit = gate.decide(IPv4Address("10.0.0.65"), 104)
    assert isinstance(permit, Permit)
    assert (permit.grant, permit.depth, permit.zone, permit.gap_seconds) == ("one", Depth.TALK, "late", 3.0)
    assert reason(gate, depth=Depth.COUNT) is Denied.NARROWED
    assert reason(gate, "10.0.0.7") is Denied.NARROWED
    assert reason(gate, "10.0.1.1") is Denied.NARROWED
    assert reason(gate, "10.0.2.1") is Denied.NO_GRANT
    assert reason(gate, port=11112) is Denied.NARROWED
    assert reason(gate, port=4242) is Denied.PORT
    assert gate.dial_allowed("10.0.1.1", 104) is Denied.NARROWED
    assert gate.dial_allowed("10.9.9.9", 53) is Denied.NO_GRANT
    assert gate.dial_allowed("10.8.8.8", 53) is Denied.NO_GRANT
    asked = [int(HOST), *(int(IPv4Address(f"10.0.{part}.1")) for part in (1, 2))]
    assert gate.filter4(np.array(asked, dtype=np.uint32)).tolist() == [Depth.TALK, 0, 0]
    gate.narrow(first)
    assert reason(gate, "10.0.1.1") is Denied.NARROWED
    assert gate.intervals(4) == [(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.0.1.255")))]
    assert gate.scope is first


def test_narrowing_acts_within_the_same_second() -> None:
    gate = Gate(scope(grant("10.0.0.0/24")), clock=Clock())
    assert gate.dial_allowed("10.0.0.1", 104) is None
    gate.narrow(scope(grant("10.0.0.0/24", exclude=["10.0.0.1"]), sha256="1" * 64))
    assert gate.dial_allowed("10.0.0.1", 104) is Denied.NARROWED


def test_what_was_permitted_a_moment_ago_is_asked_again() -> None:
    clock = Clock()
    gate = Gate(scope(grant("10.0.0.0/24")), clock=clock)
    clock.now = dt.datetime(2027, 2, 1, 23, 59, 59, 999_000, tzinfo=dt.UTC)
    assert [gate.dial_allowed("10.0.0.1", 104) for _ in range(2)] == [None, None]
    clock.now += dt.timedelta(milliseconds=1)
    assert gate.dial_allowed("10.0.0.1", 104) is Denied.EXPIRED


def ask_all(gate: Gate, address: IPv4Address | IPv6Address, port: int) -> Permit | Denial:
    """Every way of asking; they agree."""
    decision = gate.decide(address, port)
    denied = gate.dial_allowed(str(address), port)
    depth = gate.depth_now(address)
    assert denied == (decision.reason if isinstance(decision, Denial) else None)
    assert gate.denied_at(address, port) == denied
    if isinstance(decision, Permit):
        assert depth == decision.depth
    elif port in reference.PORTS:
        assert depth == 0
    if address.version == 4:
        asked, ports = np.array([int(address)], dtype=np.uint32), np.array([port], dtype=np.uint16)
        assert gate.filter4(asked).tolist() == [depth]
        assert [REASONS[number] for number in gate.denials4(asked, ports)] == [denied]
    return decision


@settings(max_examples=80, deadline=None)
@given(reference.scopes(), reference.pins, reference.times, st.data())
def test_decisions_are_those_of_the_plain_rules(
    subject: Scope, known: reference.Pins, now: dt.datetime, data: st.DataObject
) -> None:
    gate = Gate(subject, pins=known, clock=Clock(now))
    for _ in range(8):
        address = data.draw(reference.addresses_near(reference.texts_of(subject)))
        port = data.draw(st.sampled_from((*reference.PORTS, 105)))
        if (str(reference.unmap(address)), port) in subject.infrastructure:
            continue
        decision = ask_all(gate, address, port)
        expected, gap = reference.decide(subject, known, now, address, port)
        if isinstance(decision, Permit):
            assert (decision.depth, decision.gap_seconds) == (expected, gap)
            assert gate.gap_at(decision.address.version, int(decision.address)) == (decision.zone, gap)
            assert decision.expires > now
        else:
            assert decision.reason is expected


@settings(max_examples=30, deadline=None)
@given(reference.scopes(), st.lists(reference.scopes(), min_size=1, max_size=3), reference.times, st.data())
def test_narrowing_never_widens(first: Scope, later: list[Scope], now: dt.datetime, data: st.DataObject) -> None:
    readings = [replace(one, sha256=f"{index:064}") for index, one in enumerate([first, *later])]
    gate = Gate(readings[0], clock=Clock(now))
    for one in readings[1:]:
        gate.narrow(one)
    for _ in range(6):
        texts = [text for one in readings for text in reference.texts_of(one)]
        address = data.draw(reference.addresses_near(texts))
        if any((str(reference.unmap(address)), 104) in one.infrastructure for one in readings):
            continue
        decision = ask_all(gate, address, 104)
        each = [reference.decide(one, {}, now, address, 104)[0] for one in readings]
        if isinstance(decision, Permit):
            assert decision.depth == min(depth for depth in each if isinstance(depth, Depth))
            assert not any(isinstance(one, Denied) for one in each)
        else:
            assert decision.reason == (each[0] if isinstance(each[0], Denied) else Denied.NARROWED)


def test_filter4_keeps_the_order_and_the_length() -> None:
    gate = Gate(scope(grant("10.0.0.0/24", exclude=["10.0.0.7"])), clock=Clock())
    base = int(HOST) - 1
    got = gate.filter4(np.arange(base - 1, base + 258, dtype=np.uint32))
    assert got.dtype == np.uint8
    assert got.tolist() == [0] + [4] * 7 + [0] + [4] * 248 + [0, 0]
    assert gate.filter4(np.array([], dtype=np.uint32)).tolist() == []
    assert gate.filter4(np.array([0, 0xFFFFFFFF], dtype=np.uint32)).tolist() == [0, 0]


def test_a_naive_looking_clock_in_another_zone_is_read_right() -> None:
    east = dt.timezone(dt.timedelta(hours=9))
    gate = Gate(scope(grant("10.0.0.0/24")), clock=Clock(dt.datetime(2027, 2, 2, 8, 59, tzinfo=east)))
    assert reason(gate) is None
    gate = Gate(scope(grant("10.0.0.0/24")), clock=Clock(dt.datetime(2027, 2, 2, 9, 0, tzinfo=east)))
    assert reason(gate) is Denied.EXPIRED


def test_the_system_clock_is_the_default() -> None:
    today = dt.datetime.now(dt.UTC).date()
    subject = grant("10.0.0.0/24", valid_from=today - dt.timedelta(1), valid_until=today + dt.timedelta(1))
    assert reason(Gate(scope(subject))) is None
    assert NOON.tzinfo is dt.UTC


def test_asking_one_address_needs_no_numpy() -> None:
    code = "import sys, leadapron.scope.gate, leadapron.scope.hook; print('numpy' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
