from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from crowded import ASKED, PORTS, ask_in_every_way, borders, crowded
from hypothesis import given, settings
from hypothesis import strategies as st
from scope_samples import NOON, TODAY, Clock, grant, scope

from leadapron.scope import batches
from leadapron.scope.gate import REASONS, Gate
from leadapron.scope.grant import Ports
from leadapron.scope.parse import bucket


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([8, 40, 120]), st.integers(-48, 48))
def test_every_way_of_asking_agrees_at_every_border(seed: int, size: int, hours: int) -> None:
    subject = crowded(seed, size)
    ask_in_every_way(Gate(subject, clock=Clock(NOON + dt.timedelta(hours=hours))), borders(subject))


def test_crowded_scopes_hold_every_reason() -> None:
    """Else the test above shows less than it says."""
    seen: set[object] = set()
    for seed in range(8):
        subject = crowded(seed, 40)
        gate = Gate(subject, clock=Clock())
        seen |= {gate.denied_at(address, port) for address in borders(subject) for port in (*ASKED, 105)}
    wanted = {"no_grant", "excluded", "special_purpose", "not_yet", "expired", "window", "port"}
    assert {str(reason) for reason in seen if reason} == wanted
    assert None in seen


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 16, 1000])
def test_a_batch_of_any_length_keeps_its_order(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(batches, "_BLOCK", 8)
    subject = scope(grant("10.0.0.0/24", exclude=["10.0.0.7"]))
    gate = Gate(subject, clock=Clock())
    addresses = np.arange(0x09FFFFFE, 0x09FFFFFE + length, dtype=np.uint32)
    ports = np.where(np.arange(length) % 3, 104, 105).astype(np.uint16)
    whole = [REASONS[number] for number in gate.denials4(addresses, ports)]
    assert whole == [
        gate.dial_allowed(f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}", p)
        for a, p in zip(addresses.tolist(), ports.tolist(), strict=True)
    ]
    assert gate.permits4(addresses, ports).tolist() == [reason is None for reason in whole]
    assert len(gate.filter4(addresses)) == length


@pytest.mark.parametrize(("address", "port"), [("uint64", "uint16"), ("int64", "uint16"), ("uint32", "int64")])
def test_what_could_wrap_is_refused(address: str, port: str) -> None:
    """2^32 + 10.0.0.1 is not 10.0.0.1."""
    gate = Gate(scope(grant("10.0.0.0/24")), clock=Clock())
    with pytest.raises(TypeError):
        gate.permits4(np.array([0x0A000001], dtype=address), np.array([104], dtype=port))


def test_arrays_of_two_lengths_are_refused() -> None:
    gate = Gate(scope(grant("10.0.0.0/24")), clock=Clock())
    with pytest.raises(ValueError):
        gate.denials4(np.full(3, 0x0A000001, dtype=np.uint32), np.full(2, 104, dtype=np.uint16))


def test_each_port_is_looked_at() -> None:
    gate = Gate(scope(grant("10.0.0.0/24"), ports=Ports.of(dicom=(1, 104, 65_535))), clock=Clock())
    ports = np.arange(1 << 16, dtype=np.uint16)
    addresses = np.full(1 << 16, 0x0A000001, dtype=np.uint32)
    assert np.flatnonzero(gate.permits4(addresses, ports)).tolist() == [1, 104, 65_535]


def test_thousands_of_buckets_open_their_own_places_alone() -> None:
    hosts = [f"20.{index >> 8}.{index & 255}.9" for index in range(2_000)]
    shops = tuple(bucket(f"s3://scans@http://{host}:{9000 + index % 3}") for index, host in enumerate(hosts))
    gate = Gate(scope(grant(id="b", buckets=shops)), clock=Clock())
    own = np.array([0x14000009 + (index << 8) for index in range(2_000)], dtype=np.uint32)
    ports = np.array([9000 + index % 3 for index in range(2_000)], dtype=np.uint16)
    assert gate.permits4(own, ports).all()
    assert not gate.permits4(own + np.uint32(1), ports).any()
    assert not gate.permits4(own, ports + np.uint16(1)).any()
    assert not gate.filter4(own).any()


def test_what_is_kept_of_a_moment_is_not_believed_in_the_next() -> None:
    clock = Clock()
    gate = Gate(scope(grant("10.0.0.0/24", valid_until=TODAY)), clock=clock)
    asked, ports = np.array([0x0A000001], dtype=np.uint32), np.array(PORTS[:1], dtype=np.uint16)
    seen = []
    for hours in (0, 11, 12, 11, 12):
        clock.now = NOON + dt.timedelta(hours=hours)
        seen.append((bool(gate.permits4(asked, ports)[0]), int(gate.filter4(asked)[0])))
    assert seen == [(True, 4), (True, 4), (False, 0), (True, 4), (False, 0)]
