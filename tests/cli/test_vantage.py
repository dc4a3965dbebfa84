from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from command_line import leadapron

from leadapron.errors import WireError
from leadapron.net import challenge
from listening import listening
from scope_file import write_scope

TOKEN = "a token of a test"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(challenge.answer(TOKEN.encode(), await reader.readexactly(challenge.ASK_SIZE)))
    except WireError:
        return


def scope(folder: Path, *keys: str) -> Path:
    path = write_scope(folder / "scope.toml", networks=["127.88.0.0/24"], ports=[9, 104])
    path.write_text(path.read_text().replace('name = "test"\n', "\n".join(('name = "test"', *keys, "")), 1))
    return path


@pytest.mark.parametrize(("token", "code", "said"), [(TOKEN, 0, "proven"), ("another token, of a test", 3, "reset")])
def test_it_says_whether_the_way_out_works(tmp_path: Path, token: str, code: int, said: str) -> None:
    (tmp_path / "t").write_text(token)
    with listening(answer) as (endpoint,):
        path = scope(tmp_path, f'listener = "{endpoint}"', 'token_file = "t"')
        result = leadapron(tmp_path, "vantage", "check", path)
        answered = leadapron(tmp_path, "vantage", "check", path, "--json")

    assert (result.returncode, answered.returncode) == (code, code), result.stderr
    first, line, rest = result.stdout.splitlines()
    assert first == f"From test to the listener at {endpoint.address}"
    assert line.startswith(f"  port {endpoint.port}: ")
    assert ("proven" in line) is (code == 0)
    assert rest == "Not checked: whether we get out on port 9, 104; see `listener_ports`"
    assert json.loads(answered.stdout) == {
        "scope": "test",
        "vantage": "test",
        "open": code == 0,
        "ports": {str(endpoint.port): said},
        "ports_not_checked": [9, 104],
    }


def test_one_port_that_is_shut_is_told(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(TOKEN)
    with listening(answer) as (endpoint,):
        path = scope(tmp_path, f'listener = "{endpoint}"', 'token_file = "t"', "listener_ports = [9]")
        result = leadapron(tmp_path, "vantage", "check", path, "--json")

    told = json.loads(result.stdout)
    assert (result.returncode, told["open"], told["ports_not_checked"]) == (3, False, [104])
    assert told["ports"] == {str(endpoint.port): "proven", "9": "refused"}


def test_a_scope_without_a_listener_is_a_mistake(tmp_path: Path) -> None:
    result = leadapron(tmp_path, "vantage", "check", scope(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    assert "[vantage] names no listener; run `leadapron listen` elsewhere" in result.stderr
