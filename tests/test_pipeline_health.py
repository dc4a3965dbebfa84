"""A server behind any door that stops answering after us: its zone is left alone, and the report says so. Where it is only
slow, neither."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from audits import Place
from leadapron.lab.archive import made_up
from leadapron.lab.folder import of_archive
from leadapron.lab.ftp import Ftp
from leadapron.lab.web import Web, listing
from leadapron.model import Endpoint, RunStatus, Verdict
from leadapron.protocols import health
from listening import Serve, listening
from scope_file import write_scope

FOLDER = of_archive(made_up(3, 4))
ZONE = '[[zone]]\nname = "z"\nnetworks = ["127.88.0.0/16"]\ngap_seconds = 0.01\n[budget]\nseconds = 2\n'


class Dying:
    """Serves, but for some connections: `on` is told of the address and the number of the connection."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections = Counter[str]()
        self.hangs_up_from = self.hangs_at = 10**9

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        self.connections[address] += 1
        if address.endswith(".1") and self.connections[address] >= self.hangs_up_from:
            return
        if address.endswith(".1") and self.connections[address] == self.hangs_at:
            await reader.read()
            return
        await self._serve(reader, writer)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DELAY", 0.05)


def scope(folder: Path, endpoints: list[Endpoint], door: str) -> Place:
    networks = [f"{each.address}/32" for each in endpoints]
    ports = {door: [endpoints[0].port]}
    return Place(
        folder,
        write_scope(folder / "scope.toml", networks=networks, ports=ports, granted="blank_login = true", extra=ZONE),
    )


WALK_OF_THE_WEB, WALK_OF_FTP = 7, 4
"""The connection of the walk: after the sweep, the hello and the looks, or the login."""


@pytest.mark.parametrize(
    ("door", "serve", "walk"),
    [("http", Web(listing(FOLDER)).serve, WALK_OF_THE_WEB), ("ftp", Ftp(FOLDER).serve, WALK_OF_FTP)],
    ids=["http", "ftp"],
)
class TestAWalk:
    def test_behind_which_the_server_is_gone(self, tmp_path: Path, door: str, serve: Serve, walk: int) -> None:
        server = Dying(serve)
        with listening(server.serve) as (first,):
            here = scope(tmp_path, [first], door)
            server.hangs_up_from = walk
            _, seen, unknowns = here.run()
            asked = server.connections.total()
            log = (tmp_path / "audit.jsonl").read_text()

            server.hangs_up_from = 10**9
            again, healed, left = here.run()

        assert {each.facts["answers_afterwards"] for each in seen} == {False}
        assert (str(first), "talk", "reset") in unknowns
        assert '"what":"zone z"' in log
        assert asked == walk + 2, "the walk, and two looks"
        assert again.status is RunStatus.COMPLETE
        assert {each.facts["answers_afterwards"] for each in healed} == {True}
        assert "talk" not in {stage for _, stage, _ in left}
        assert server.connections.total() == asked + 1, "one look, and nothing twice"

    def test_that_is_slow_is_no_death(self, tmp_path: Path, door: str, serve: Serve, walk: int) -> None:
        server = Dying(serve)
        server.hangs_at = walk
        with listening(server.serve) as (first,):
            run, seen, unknowns = scope(tmp_path, [first], door).run()
        assert run.status is RunStatus.COMPLETE
        assert {each.facts["answers_afterwards"] for each in seen} == {True}
        assert (str(first), "list", "timeout") in unknowns
        assert "talk" not in {stage for _, stage, _ in unknowns}
        assert '"halted"' not in (tmp_path / "audit.jsonl").read_text()

    def test_that_went_well_is_followed_by_one_look(self, tmp_path: Path, door: str, serve: Serve, walk: int) -> None:
        server = Dying(serve)
        with listening(server.serve) as (first,):
            _, seen, unknowns = scope(tmp_path, [first], door).run()
        assert not unknowns
        assert Verdict.PROVEN in {each.access.list for each in seen}
        assert {each.facts["answers_afterwards"] for each in seen} == {True}
        assert server.connections.total() == walk + 1
