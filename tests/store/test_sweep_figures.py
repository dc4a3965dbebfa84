"""What the store keeps of sweeps in processes of their own: figures that add up, and hits whose chunk is not done."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import StoreError
from leadapron.model import Endpoint, Run, SweepFigures, Vantage, VantageKind
from leadapron.store import codec
from leadapron.store.chunk import SweepChunk
from leadapron.store.store import Store

RUN = Run(
    id="run-1",
    kind="audit",
    scope_id="s",
    scope_sha256="0" * 64,
    vantage=Vantage(kind=VantageKind.INTERNET, name="here"),
    version="0",
    started_at=dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
)
NUMBERS = [each.name for each in fields(SweepFigures) if each.name not in ("method", "not_sent")]
ERRORS = st.sampled_from(["denied", "ENOBUFS", "EPERM"])
FIGURES = st.builds(
    SweepFigures,
    method=st.sampled_from(["", "syn", "connect"]),
    not_sent=st.dictionaries(ERRORS, st.integers(0, 1 << 40)),
    **{name: st.integers(0, 1 << 40) for name in NUMBERS},
)


@given(FIGURES, FIGURES)
def test_figures_add_up_and_the_memory_is_that_of_the_largest(one: SweepFigures, other: SweepFigures) -> None:
    both = one + other
    for name in NUMBERS:
        parts = getattr(one, name), getattr(other, name)
        assert getattr(both, name) == (max(parts) if name == "memory" else sum(parts)), name
    for name in {*one.not_sent, *other.not_sent}:
        assert both.not_sent[name] == one.not_sent.get(name, 0) + other.not_sent.get(name, 0)
    assert both.method == (other.method or one.method)


@given(FIGURES)
def test_to_nothing_added_they_are_what_they_were(figures: SweepFigures) -> None:
    assert SweepFigures(method="") + figures == figures == figures + SweepFigures(method="")


@given(FIGURES)
def test_they_come_back_as_they_went_in(figures: SweepFigures) -> None:
    assert codec.load(SweepFigures, json.loads(json.dumps(codec.dump(figures)))) == figures


def test_figures_of_an_earlier_version_have_no_gap_and_others_are_refused() -> None:
    assert codec.load(SweepFigures, {"method": "syn", "sent": 3}) == SweepFigures(method="syn", sent=3)
    with pytest.raises(StoreError):
        codec.load(SweepFigures, {"method": "syn", "sent": "3"})
    with pytest.raises(StoreError):
        codec.load(SweepFigures, {"sent": 3})


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store.open(store_url) as opened:
        opened.create_run(RUN, "abcd")
        yield opened


def test_a_run_has_no_figures_until_it_is_told_them(store: Store) -> None:
    assert store.run().sweep is None
    figures = SweepFigures(method="syn", sent=4096, sent_bytes=245_760, not_sent={"denied": 3}, cpu=0.25, untold=1)
    store.update_sweep("run-1", figures)
    assert store.run() == replace(RUN, sweep=figures)


def test_hits_stand_before_their_chunk_does_each_once(store: Store) -> None:
    hits = [Endpoint(address=ip_address(f"198.18.0.{number}"), port=104) for number in (9, 2)]
    store.record_hits("run-1", hits)
    store.record_hits("run-1", hits[:1])
    assert store.hits("run-1") == hits[::-1]
    assert (store.progress("run-1"), store.outcomes("run-1")) == ([], {})

    store.record_chunks("run-1", [SweepChunk(start=0, stop=8, outcomes={"connected": 2, "timeout": 6}, hits=hits)])
    assert store.hits("run-1") == hits[::-1]
    assert store.progress("run-1") == [(0, 8)]
