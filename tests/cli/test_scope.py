from __future__ import annotations

import datetime as dt
import json
import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadapron.cli.scope import scope_app
from leadapron.errors import InputError, ScopeErrors
from leadapron.scope.doors import doors
from scope_file import write_scope

TODAY = dt.datetime.now(dt.UTC).date()
SCOPE = f"""\
version = 1
id = "own-estate"
contact = {{name = "Team", email = "team@hospital.example"}}
vantage = {{kind = "office", name = "laptop"}}

[[grant]]
id = "own"
owner = "Example Hospital"
party = "Teleradiology Ltd"
basis = "partner"
granted_by = "CISO"
valid_from = {TODAY}
valid_until = {TODAY + dt.timedelta(30)}
depth = "count"
networks = ["198.18.0.0/24", "127.0.0.0/30"]
names = ["localhost"]
exclude = ["198.18.0.7"]

[[zone]]
name = "modalities"
networks = ["198.18.0.128/25"]
max_depth = "connect"
gap_seconds = 2.0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scope.toml"
    path.write_text(SCOPE)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(scope_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_check_explains_what_would_be_touched(path: Path) -> None:
    text = run("check", path)
    assert "own: Example Hospital, partner Teleradiology Ltd, basis partner" in text
    assert "modalities: 128 IPv4 addresses; as far as connect, 2 s between connections" in text
    assert "Granted:       259 IPv4 addresses" in text
    assert "Excluded:      1 IPv4 address\n" in text
    assert re.search(r"^Ports: +DICOM +104, 2762, 4242, 11112$", text, re.MULTILINE)
    assert re.search(r"^ +HTTP +80, 443, ", text, re.MULTILINE)
    ports = {port for door in doors().values() for port in door.ports}
    assert f"{len(ports)} of 65,535 ports" in text
    assert "not looked for" not in text
    assert f"Connections:   at most {259 * len(ports):,} in one sweep" in text
    assert "localhost is not resolved here" in text


def test_check_tells_how_ports_are_looked_for(path: Path) -> None:
    plain = run("check", path)
    assert "Sweep:         by SYN packets where they may be sent and a grant is wide, else by connections\n" in plain
    assert "Survey:" not in plain
    (path.parent / "page.txt").write_text("What this is.")
    told = (
        '[sweep]\nmethod = "syn"\npackets_per_second = 100000\nbits_per_second = 5e7\nsource_address = "198.18.0.1"\n'
    )
    survey = '[survey]\nopt_out = "no@cert.example"\npage = "page.txt"\nurl = "https://cert.example/s"\n'
    path.write_text(path.read_text() + told + survey)
    text = run("check", path)
    assert "SYN packets: 100,000 and 50,000,000 bits a second at most, 1 to one address and port\n" in text
    assert "from 198.18.0.1 ports 61000-65535, answers are waited for 8 s\n" in text
    assert "connections: 1 process" not in text
    assert "Survey:        opt out: no@cert.example\n" in text
    assert "page:    page.txt, shown at https://cert.example/s\n" in text
    assert "no file of exclusions\n" in text
    view = json.loads(run("check", path, "--json"))
    assert view["sweep"]["source_address"] == "198.18.0.1"
    assert view["survey"] == {
        "opt_out": "no@cert.example",
        "page": "page.txt",
        "url": "https://cert.example/s",
        "exclusions": "",
        "excluded": 0,
    }


GAP = '[[zone]]\nname = "scanners"\nnetworks = ["198.18.0.0/28"]\ngap_seconds = 2\n'
WIDE = '[survey]\nopt_out = "no@cert.example"\npage = "page.txt"\n'


@pytest.mark.parametrize(
    ("method", "is_wide", "raw", "extra", "here", "line"),
    [
        ("auto", True, True, "", "syn", "by SYN packets, since a grant is wide, and this process may send them"),
        ("auto", True, False, "", "connect", "by connections, since this process has no CAP_NET_RAW on Linux"),
        ("auto", False, True, "", "connect", "by connections, since no grant is wide"),
        (
            "auto",
            True,
            True,
            GAP,
            "connect",
            "by connections, since zone scanners keeps a gap between connections, which packets cannot",
        ),
        ("syn", False, False, "", None, 'not at all: {path}: [sweep] method = "syn" needs CAP_NET_RAW on Linux'),
        ("syn", False, True, "", "syn", None),
        ("connect", True, True, "", "connect", None),
    ],
)
def test_check_tells_by_which_method_an_audit_from_here_would_sweep(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    is_wide: bool,
    raw: bool,
    extra: str,
    here: str | None,
    line: str | None,
) -> None:
    monkeypatch.setattr("leadapron.net.syn.can_sweep_raw", lambda: raw)
    (tmp_path / "page.txt").write_text("What this is.")
    path = write_scope(
        tmp_path / "scope.toml",
        networks=["198.18.0.0/24"],
        ports=[104],
        depth="talk",
        granted="wide = true" if is_wide else "",
        extra=(WIDE if is_wide else "") + f'[sweep]\nmethod = "{method}"\n{extra}',
    )

    text = run("check", path)

    said = re.findall(r"^ +from here: (.*)$", text, re.MULTILINE)
    assert len(said) == (line is not None)
    assert not said or said[0].startswith((line or "").format(path=path))
    assert json.loads(run("check", path, "--json"))["sweep_from_here"]["method"] == here


def test_check_tells_what_is_not_looked_for(path: Path) -> None:
    path.write_text(path.read_text() + "\n[ports]\nhttp = [80, 8080]\n")
    text = run("check", path)
    assert re.search(r"^Ports: +HTTP 80, 8080$", text, re.MULTILINE)
    assert re.search(r"^ +not looked for: .*DICOM", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["198.18.0.1"], "198.18.0.1 port 104 is permitted as far as count, until "),
        (["198.18.0.200"], "zone modalities, 2 s between connections"),
        (["198.18.0.7"], "is not touched: 198.18.0.7 is excluded (excluded)"),
        (["198.18.0.7"], "decided by exclusion 198.18.0.7/32 of grant 'own'"),
        (["198.18.0.1", "--port", "81"], "port 81 is not among the ports of the scope (port)"),
        (["8.8.8.8"], "is in no grant (no_grant)"),
        (["[::ffff:198.18.0.1]"], "198.18.0.1 port 104 is permitted"),
        (["::1"], "--resolve looks them up"),
        (["127.0.0.1", "--resolve"], "name localhost of grant 'own'"),
    ],
)
def test_check_explains_an_address(path: Path, arguments: list[str], part: str) -> None:
    assert part in run("check", path, *arguments)


def test_check_as_json(path: Path) -> None:
    view = json.loads(run("check", path, "--json"))
    assert view["granted"] == {"ipv4": 259, "ipv6": 0}
    assert view["grants"][0]["valid_from"] == str(TODAY)
    answer = json.loads(run("check", path, "198.18.0.7", "--json"))
    assert (answer["permitted"], answer["reason"]) == (False, "excluded")


def test_mistakes_are_raised_for_the_main_program(path: Path) -> None:
    path.write_text(SCOPE.replace("/24", "/99"))
    with pytest.raises(ScopeErrors):
        run("check", path)
    path.write_text(SCOPE)
    with pytest.raises(InputError, match="not an address"):
        run("check", path, "pacs.example")
    with pytest.raises(InputError, match="--port"):
        run("check", path, "--port", "104")


def test_export_to_stdout_and_to_a_file(path: Path) -> None:
    text = run("export", path, "--format", "nft", "--user", "scanner")
    assert 'meta skuid "scanner" jump scanner' in text
    assert "not resolved: localhost" in text
    output = path.with_name("rules.nft")
    assert run("export", path, "--user", "scanner", "--output", output) == ""
    assert output.read_text() == text
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="exists"):
        run("export", path, "-o", output)
    run("export", path, "--resolve", "-o", output, "--force")
    assert "not resolved" not in output.read_text()


def test_export_says_what_cannot_be_written(path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        run("export", path, "--output", path.parent / "none" / "x")
