"""Studies that several servers show, in an audit: counted once, told where they overlap, and nothing kept of them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audits import Place, place
from leadapron.lab.archive import ISSUER, Archive, made_up
from leadapron.lab.server import Behaviour, OnFind, Server
from leadapron.model import Count, CountSource, Endpoint, Observation, RunStatus, Unique
from leadapron.pipeline import Audit
from leadapron.pipeline_assessing import Assessing
from leadapron.pipeline_control import Options
from listening import listening

ONE, OTHER = made_up(5, 61), made_up(6, 43)
"""Numbers at which no product stops."""
BOTH = Archive(studies=ONE.studies[:25] + OTHER.studies)
CLAIMED = CountSource.CLAIMED


@contextlib.contextmanager
def serving(*behaviours: Behaviour) -> Iterator[list[Endpoint]]:
    with contextlib.ExitStack() as stack:
        servers = [Server(each) for each in behaviours]
        yield [
            stack.enter_context(listening(server.serve, places=[(f"127.88.5.{number}", 0)]))[0]
            for number, server in enumerate(servers, 1)
        ]


def unique(here: Place) -> tuple[Unique | None, dict[str, Observation]]:
    run, seen, _ = here.run()
    assert run.status is RunStatus.COMPLETE
    return run.unique, {str(each.service.endpoint.address): each for each in seen}


def open_archive(held: Archive, **more: object) -> Behaviour:
    return Behaviour(archives={"": held}, **more)  # type: ignore[arg-type]


def test_a_study_on_two_servers_is_one(tmp_path: Path) -> None:
    with serving(open_archive(ONE), open_archive(BOTH), open_archive(OTHER)) as endpoints:
        found, seen = unique(place(tmp_path, endpoints))

    assert found is not None
    assert found.studies == Count.exact(104)
    assert found.images == Count.exact(ONE.images + OTHER.images, CLAIMED)
    elsewhere = [seen[f"127.88.5.{number}"].facts["studies_elsewhere"] for number in (1, 2, 3)]
    assert elsewhere == [25, 68, 43]


def test_nothing_is_left_of_the_lists_when_the_run_is_complete(tmp_path: Path) -> None:
    with serving(open_archive(ONE), open_archive(BOTH)) as endpoints:
        place(tmp_path, endpoints).run()

    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as store:
        assert store.execute("SELECT count(*) FROM shown_studies").fetchone() == (0,)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("studies-")] == []


def test_a_run_that_goes_on_joins_what_it_saw_before_with_what_it_sees_now(tmp_path: Path) -> None:
    with serving(open_archive(ONE), open_archive(BOTH)) as endpoints:
        here = place(tmp_path, endpoints)
        with here.audit() as audit:
            audit.discover()
            audit.identify()
            asyncio.run(_assess(audit, endpoints[0]))
            audit.control.request("stopped for a test")
            assert audit.conclude().status is RunStatus.STOPPED
        with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as store:
            assert store.execute("SELECT count(*) FROM shown_studies").fetchone() == (1,)
        found, _ = unique(here)

    assert found is not None
    assert found.studies == Count.exact(104)


async def _assess(audit: Audit, endpoint: Endpoint) -> None:
    """This one only."""
    jobs = dict(audit.store.attempts(audit.run_.id)[endpoint, "dicom"])
    await Assessing(audit.context).assess_one(endpoint, "dicom", jobs)


def test_a_server_that_caps_leaves_the_union_a_bound(tmp_path: Path) -> None:
    capped = open_archive(OTHER, on_find=OnFind.CAP, limit=10)
    with serving(open_archive(ONE), capped) as endpoints:
        found, _ = unique(place(tmp_path, endpoints))

    assert found is not None
    assert found.studies is not None
    assert (found.studies.high, 71 <= found.studies.low <= 104) == (None, True)


def test_an_archive_that_claims_no_numbers_adds_what_was_enumerated(tmp_path: Path) -> None:
    silent = made_up(7, 6, claims=False, largest=9)
    with serving(open_archive(ONE), open_archive(silent)) as endpoints:
        found, _ = unique(place(tmp_path, endpoints))

    assert found is not None
    assert (found.studies, found.images) == (Count.exact(67), Count.exact(ONE.images + silent.images, CLAIMED))


def test_what_a_budget_cut_is_joined_whole_once_it_is_asked_again(tmp_path: Path) -> None:
    with serving(open_archive(ONE), open_archive(BOTH)) as endpoints:
        here = place(tmp_path, endpoints, extra="[budget]\nanswers = 45\n")
        run, _, _ = here.run()
        assert run.unique is not None
        assert run.unique.studies is not None
        assert run.unique.studies.high is None
        full = Options(sweep_timeout=1.0, hello_timeout=2.0, full=True)
        run, _, _ = here.run(full)

    assert run.unique is not None
    assert run.unique.studies == Count.exact(104)


OURS = b"SYNTHETIC ISSUER"
MINE = '[[mine]]\nuid_roots = ["2.25.6"]\nissuers = ["SYNTHETIC ISSUER"]\n'


@pytest.mark.parametrize("depth", ["count", "census"])
def test_ours_are_counted_wherever_they_lie(depth: str, tmp_path: Path) -> None:
    ours = Archive(studies=tuple(replace(study, values={**study.values, ISSUER: OURS}) for study in OTHER.studies))
    mixed = Archive(studies=ONE.studies[:25] + ours.studies)
    with serving(open_archive(ONE), open_archive(mixed)) as endpoints:
        here = place(tmp_path, endpoints, depth=depth, cleartext_census=True, extra=MINE)
        _, seen = unique(here)

    theirs, holds_ours = (seen[f"127.88.5.{number}"].facts for number in (1, 2))
    assert (theirs["own_studies"], holds_ours["own_studies"]) == (0, 43)
    if depth == "census":
        assert theirs["sign.own"] == 0
        assert 1 <= holds_ours["sign.own"] <= 25


def test_without_a_word_about_what_is_ours_nothing_is_said(tmp_path: Path) -> None:
    with serving(open_archive(ONE)) as endpoints:
        _, seen = unique(place(tmp_path, endpoints, depth="census", cleartext_census=True))
    assert {"own_studies", "sign.own"}.isdisjoint(seen["127.88.5.1"].facts)
