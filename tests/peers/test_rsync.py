"""A real rsync daemon: which of its modules are open to anyone, and what they list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from file_doors import CANARY, asked, made_up_folder, open_to_all, rsyncd, terms
from real_servers import Namespace, namespace, require
from tls_servers import within

from leadapron.model import Depth, Endpoint, Observation, Reason, Verdict
from leadapron.protocols.rsync import tree, wire
from leadapron.protocols.rsync.probe import PROTOCOL

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "rsync")
    with namespace() as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    open_to_all(tmp_path)
    return made_up_folder(tmp_path)


def audit(inside: Namespace, port: int, **of: Any) -> tuple[dict[str, Observation], dict[str, Any]]:
    endpoint = Endpoint(address=ip_address("127.0.0.1"), port=port)
    seen, failed, attempts = within(inside, lambda: asked(PROTOCOL, endpoint, terms(**of)))
    assert failed is None
    for stored in (json.dumps(attempts), repr(seen)):
        assert CANARY not in stored
        assert "BIRGIT" not in stored
    return seen, dict(attempts)


MODULES = """\
[public]
path = {root}
comment = {canary}
[{canary}]
path = {root}
comment = of {canary}
[private]
path = {root}
auth users = somebody
secrets file = {root}/../secrets
[internal]
path = {root}
hosts deny = *
[hidden]
path = {root}
list = no
[backup]
path = {root}/nowhere
"""


@pytest.fixture
def modules(root: Path) -> str:
    secrets = root.parent / "secrets"
    secrets.write_text("somebody:made up\n")
    secrets.chmod(0o600)
    return MODULES.format(root=root, canary=CANARY)


def test_each_module_is_open_or_shut(inside: Namespace, modules: str, tmp_path: Path) -> None:
    with rsyncd(inside, tmp_path, modules) as port:
        seen, attempts = audit(inside, port)
    (hashed,) = (name for name in seen if name.startswith("share-"))
    assert set(seen) == {"", "public", hashed, "private", "internal", "backup"}
    assert seen[""].facts["modules"] == 5
    assert seen[""].facts["protocol"] >= 30
    for name in ("public", hashed):
        assert seen[name].access.list is Verdict.PROVEN
        assert seen[name].access.write is Verdict.NOT_ASKED
        assert attempts[f"tree:{name}"]["found"]["files"] == 9
        assert attempts[f"tree:{name}"]["found"]["folders"] == 4
        assert seen[name].access.read is not Verdict.PROVEN
        assert seen[name].unknowns, "no file can be read in part"
    for name in ("private", "internal"):
        assert seen[name].access.list is Verdict.REFUSED
        assert seen[name].access.read is Verdict.REFUSED
    assert seen["private"].facts["login_wanted"] is True
    assert seen["internal"].facts["login_wanted"] is False
    assert seen["backup"].access.list is Verdict.UNKNOWN


def test_where_the_grant_ends_nothing_is_listed(inside: Namespace, modules: str, tmp_path: Path) -> None:
    with rsyncd(inside, tmp_path, modules) as port:
        seen, attempts = audit(inside, port, depth=Depth.TALK)
    assert set(attempts) == {"hello"}
    assert seen[""].access.talk is Verdict.PROVEN
    assert seen[""].access.list is Verdict.NOT_ASKED


def test_what_the_budget_leaves_is_unknown(inside: Namespace, modules: str, tmp_path: Path) -> None:
    with rsyncd(inside, tmp_path, modules) as port:
        seen, _ = audit(inside, port, associations=4)
    assert seen["public"].access.list is Verdict.PROVEN
    assert seen["private"].access.list is Verdict.UNKNOWN
    assert [each.reason for each in seen["private"].unknowns] == [Reason.BUDGET]


def test_a_folder_that_the_server_may_not_read_is_not_empty(inside: Namespace, root: Path, tmp_path: Path) -> None:
    (root / "empty").chmod(0o700)
    with rsyncd(inside, tmp_path, f"[public]\npath = {root}\n") as port:
        seen, attempts = audit(inside, port)
    assert attempts["tree:public"]["found"]["files"] == 9
    assert seen["public"].facts["files.closed"] == 1


def test_a_budget_of_answers_cuts_the_list(inside: Namespace, root: Path, tmp_path: Path) -> None:
    with rsyncd(inside, tmp_path, f"[public]\npath = {root}\n") as port:
        seen, attempts = audit(inside, port, answers=6)
    assert seen["public"].access.list is Verdict.PROVEN
    assert attempts["tree:public"]["found"]["entries"] <= 6
    assert Reason.BUDGET in {each.reason for each in seen["public"].unknowns}


@pytest.mark.parametrize("protocol", [27, 28, 29])
def test_links_and_long_lists_are_read_in_each_protocol(
    protocol: int, inside: Namespace, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon speaks the lower one of its own and ours."""
    monkeypatch.setattr(wire, "OUR_PROTOCOL", protocol)
    monkeypatch.setattr(tree, "OUR_PROTOCOL", protocol)
    (root / "link").symlink_to("/etc/passwd")
    many = root / "many"
    many.mkdir()
    for number in range(3000):
        (many / f"IM{number:06}").touch()
    with (root / "large").open("wb") as large:
        large.truncate(5 << 30)
    with rsyncd(inside, tmp_path, f"[public]\npath = {root}\n") as port:
        seen, attempts = audit(inside, port)
    assert seen["public"].access.list is Verdict.PROVEN
    assert attempts["tree:public"]["found"]["files"] == 9 + 3000 + 1
