"""`--full` on resume: what a budget cut is asked again behind every door, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from audits import place
from leadapron.lab.archive import Archive, made_up
from leadapron.lab.folder import of_archive
from leadapron.lab.ftp import Ftp
from leadapron.lab.web import Web, dicomweb, listing
from leadapron.model import Count, CountKind
from leadapron.pipeline_control import Options
from listening import Serve, listening
from scope_file import write_scope
from test_pipeline_health import Dying

ARCHIVE = made_up(3, 700)
FEW = Archive(studies=ARCHIVE.studies[:12])
IMAGES = sum(sum(study.series) for study in FEW.studies)
FOLDER = of_archive(FEW)


@pytest.mark.parametrize(
    ("door", "serve", "budget", "again", "counted"),
    [
        ("http", Web(listing(FOLDER)).serve, f"answers = {IMAGES}", 2, ("images", IMAGES)),
        ("http", Web(listing(FOLDER)).serve, "requests = 50", 2, ("images", IMAGES)),
        ("ftp", Ftp(FOLDER).serve, f"answers = {IMAGES}", 2, ("images", IMAGES)),
        ("http", Web(dicomweb(ARCHIVE)).serve, "answers = 500", 2, ("studies", 700)),
    ],
    ids=["listing, answers", "listing, requests", "ftp", "dicomweb"],
)
def test_what_was_cut_is_asked_again_once(
    tmp_path: Path, door: str, serve: Serve, budget: str, again: int, counted: tuple[str, int]
) -> None:
    server = Dying(serve)
    with listening(server.serve) as endpoints:
        here = place(tmp_path, endpoints)
        networks, ports = [f"{endpoints[0].address}/32"], {door: [endpoints[0].port]}
        extra = f"[budget]\n{budget}\n"
        write_scope(here.scope, networks=networks, ports=ports, granted="blank_login = true", extra=extra)

        _, cut, unknowns = here.run()
        connections = server.connections.total()
        here.run()
        assert server.connections.total() == connections, "without --full nothing is asked again"

        _, full, none = here.run(Options(full=True))
        more = server.connections.total() - connections
        here.run(Options(full=True))

    kind, number = counted
    (before,), (after,) = ([getattr(each.counts, kind) for each in seen if each.exposed] for seen in (cut, full))
    assert isinstance(before, Count)
    assert before.kind is not CountKind.EXACT
    assert {(stage, reason) for _, stage, reason in unknowns} == {("count", "budget")}
    assert (after, none) == (Count.exact(number), set())
    assert more == again, "the count or the walk, and a look whether the server still answers"
    assert server.connections.total() == connections + more, "what was measured in full is not asked again"


def test_what_was_not_cut_is_not_asked_again(tmp_path: Path) -> None:
    server = Dying(Web(listing(FOLDER)).serve)
    with listening(server.serve) as endpoints:
        here = place(tmp_path, endpoints)
        ports = {"http": [endpoints[0].port]}
        write_scope(here.scope, networks=[f"{endpoints[0].address}/32"], ports=ports)
        here.run()
        connections = server.connections.total()
        here.run(Options(full=True))
        assert server.connections.total() == connections
