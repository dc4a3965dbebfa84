from __future__ import annotations

import json
import re
import signal
from ipaddress import ip_address
from pathlib import Path

import pytest
from command_line import leadapron, start

from leadapron.lab.listen import free_port
from leadapron.model import Endpoint
from leadapron.net.way_out import ask_once

TOKEN = "a token of a test"


def test_it_answers_who_holds_the_token_counts_and_ends_by_itself(tmp_path: Path) -> None:
    arguments = ("--address", "127.0.0.1", "--port", "0", "--token", TOKEN)
    assert leadapron(tmp_path, "listen", *arguments).returncode == 2  # a port that nobody could name

    (tmp_path / "t").write_text(TOKEN)
    port = free_port(["127.0.0.1"])
    with start(
        tmp_path, "listen", "--address", "127.0.0.1", "--port", port, "--token-file", "t", "--count", 2, "--json"
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"Listening on 127.0.0.1, port {port}\n"
        place = Endpoint(address=ip_address("127.0.0.1"), port=port)

        assert ask_once(place, TOKEN.encode()) is None
        assert ask_once(place, b"another token, of a test") is not None

        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out) == {"connections": 2, "proven": 1, "refused": 1, "silent": 0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_makes_a_token_and_a_signal_ends_it(tmp_path: Path, number: int) -> None:
    port = free_port(["127.0.0.1"])
    with start(tmp_path, "listen", "--address", "127.0.0.1", "--port", port) as process:
        assert process.stderr is not None
        made = re.fullmatch(r"Token, for the token_file of the scope: (\S{43})\n", process.stderr.readline())
        process.stderr.readline()
        assert made is not None
        assert ask_once(Endpoint(address=ip_address("127.0.0.1"), port=port), made[1].encode()) is None

        process.send_signal(number)
        out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (0, "Connections: 1; of them proven 1, refused 0, silent 0\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--token", "short"), "--token: a token has 16 to 256 printable ASCII characters"),
        (("--token", TOKEN, "--token-file", "t"), "--token and --token-file say the same thing; give one of them"),
        (("--token", TOKEN, "--address", "here"), "'here' is not an address; write one of this machine, 0.0.0.0 or ::"),
        (("--token-file", "lost"), "lost: No such file or directory; name a file with the token of the listener"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = leadapron(tmp_path, "listen", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"{said}\n")
