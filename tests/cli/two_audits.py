"""Two real audits of one scope: one server stays, one closes its port, one is new."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from audits import Network
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.scope.hook import armed
from listening import listening

ARCHIVE = Behaviour(archives={"": made_up(5, 40)})


class Anywhere:
    """A guard that lets everything pass, until an audit arms its own."""

    def dial_allowed(self, _host: str, _port: int) -> None:
        return None


class Audited(Network):
    runs: tuple[str, str]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """A store with two audits of three places."""
    folder = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch, armed(Anywhere()):
        patch.setenv("LEADAPRON_DATA", str(folder / "data"))
        with contextlib.ExitStack() as stack:
            (free,) = stack.enter_context(listening(Server(ARCHIVE).serve, places=[("127.88.3.250", 0)]))
        network = Audited(folder, free.port)
        scope, serve = network.scope(1, 2, 3, granted='party = "Example & Sons"'), Server(ARCHIVE).serve
        with listening(serve, places=[network.at(1), network.at(2)]):
            first, _ = network.audit(scope)
        other = Server(Behaviour(archives={"": made_up(7, 60)})).serve
        with listening(serve, places=[network.at(1)]), listening(other, places=[network.at(3)]):
            second, _ = network.audit(scope)
        network.runs = first.id, second.id
        yield network
