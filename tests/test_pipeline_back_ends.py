"""Several servers that answer in turn at one endpoint, as behind a load balancer."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from audits import place
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, OnFind, Server
from leadapron.model import Count, CountKind, Observation, Reason, Stage, Verdict
from leadapron.protocols.dicom.wire import uids
from listening import listening

OPEN = Behaviour(archives={"": made_up(5, 30)})
OTHER = dataclasses.replace(
    OPEN,
    archives={"": made_up(6, 12)},
    implementation_class_uid="1.2.40.0.13.1.3",
    implementation_version_name=b"dcm4che-5.31.0",
)
PROVEN, OFFERED, REFUSED = Verdict.PROVEN, Verdict.OFFERED, Verdict.REFUSED


class Balancer:
    """Hands each connection to the next server."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.servers = [Server(behaviour) for behaviour in behaviours]
        self._turns = itertools.cycle(self.servers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(self._turns).serve(reader, writer)


def seen(tmp_path: Path, *behaviours: Behaviour) -> tuple[Observation, set[tuple[str, str]], int]:
    """What an audit says of the endpoint, the unknowns by stage and reason, and the associations that it took."""
    with listening(Balancer(*behaviours).serve) as endpoints:
        run, (observation,), unknowns = place(tmp_path, endpoints).run()
    assert run.why == ""
    reasons = {(stage, reason) for _, stage, reason in unknowns}
    return observation, reasons, int(observation.facts["associations"])


@pytest.mark.parametrize("turns", [(0, 1), (1, 0), (0, 0, 1), (1, 1, 0)])
def test_two_archives_are_both_counted(tmp_path: Path, turns: Sequence[int]) -> None:
    pair = (OPEN, OTHER)
    observation, unknowns, associations = seen(tmp_path, *(pair[turn] for turn in turns))
    assert observation.access.list is PROVEN
    assert observation.facts["implementations"] == 2
    studies = observation.counts.studies
    assert studies is not None
    assert (studies.low, studies.high, studies.kind) == (30, 42, CountKind.BOUND)
    assert (Stage.COUNT, Reason.LIMIT) in unknowns
    assert associations <= 10


@pytest.mark.parametrize("turns", [(0, 1), (1, 0)])
def test_one_of_two_that_lists_is_enough(tmp_path: Path, turns: Sequence[int]) -> None:
    pair = (OPEN, dataclasses.replace(OTHER, accepts=frozenset({uids.VERIFICATION})))
    observation, _, _ = seen(tmp_path, *(pair[turn] for turn in turns))
    assert (observation.access.list, observation.access.read, observation.access.write) == (PROVEN, OFFERED, OFFERED)
    assert observation.counts.studies == Count.exact(30)
    assert observation.facts["implementations"] == 2


@pytest.mark.parametrize("turns", [(0, 1), (1, 0)])
def test_both_have_to_refuse(tmp_path: Path, turns: Sequence[int]) -> None:
    """One aborts every query, the other one serves none."""
    aborts = dataclasses.replace(OPEN, on_find=OnFind.ABORT)
    pair = (aborts, dataclasses.replace(OTHER, accepts=frozenset({uids.VERIFICATION})))
    observation, _, _ = seen(tmp_path, *(pair[turn] for turn in turns))
    assert observation.access.list is REFUSED
    assert observation.facts["implementations"] == 2


def test_two_of_one_implementation_are_told_apart_by_what_they_answer(tmp_path: Path) -> None:
    """The sweep, the hello and the first question meet the one that aborts; the reproduction meets the other one."""
    aborts = dataclasses.replace(OPEN, on_find=OnFind.ABORT)
    observation, _, _ = seen(tmp_path, aborts, aborts, aborts, OPEN)
    assert observation.access.list is PROVEN
    assert observation.facts["answers_differ"] is True
    assert "implementations" not in observation.facts


def test_who_answered_is_not_asked_again(tmp_path: Path) -> None:
    balancer = Balancer(OPEN, OTHER)
    with listening(balancer.serve) as endpoints:
        place(tmp_path, endpoints).run()
    assert [server.asked["echo"] for server in balancer.servers] == [1, 1]


def test_one_server_is_no_two(tmp_path: Path) -> None:
    observation, unknowns, associations = seen(tmp_path, OPEN)
    assert observation.counts.studies == Count.exact(30)
    assert observation.facts.keys().isdisjoint({"implementations", "answers_differ"})
    assert (unknowns, associations) == (set(), 2)
