"""Settings of all tests, the databases that a store is tested on, and what an audit arms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from leadapron.scope import hook
from leadapron.scope.hook import armed
from postgres import Postgres, serving

settings.register_profile("leadapron", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leadapron")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of a worker."""
    with serving() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that is not there yet, of each kind in turn; in a folder, or as an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'private' / 's.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url(server.create())


@pytest.fixture(autouse=True)
def _hook_as_it_was() -> Iterator[None]:
    """What an audit in this process arms holds no other test, and its log is not written to when it is closed."""
    post = hook._post
    before = post.guard, post.on_denied
    yield
    post.guard, post.on_denied = before


class _Anywhere:
    """A guard that lets everything pass, until an audit arms its own."""

    def dial_allowed(self, _host: str, _port: int) -> None:
        return None


@pytest.fixture
def disarmed_afterwards() -> Iterator[None]:
    """For audits in this process: what they arm guards no other test."""
    with armed(_Anywhere()):
        yield
