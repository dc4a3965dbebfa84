"""What all commands hold: one line and exit code 2 for a mistake, pipes that break, locales, terminals."""

from __future__ import annotations

import logging
import os
import pty
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import environment, leadapron, start, store_run

from leadapron.cli import main
from leadapron.errors import InputError
from leadapron.model import RunStatus
from leadapron.scope.grant import load_scope
from leadapron.store.store import Store
from scope_file import write_scope

ESCAPE = "\x1b"


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, which is faster; without what it does to its process."""
    monkeypatch.setattr(main, "protect_process", lambda: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("LEADAPRON_STORE", raising=False)
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr("sys.argv", ["leadapron", *map(str, arguments)])
        code = main._exit_code()
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


def is_one_line(result: subprocess.CompletedProcess[str]) -> bool:
    return result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1


def test_the_process_itself_exits_with_2_and_one_line(tmp_path: Path) -> None:
    assert is_one_line(leadapron(tmp_path, "audit", "missing.toml"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["--bogus"], "No such option: --bogus"),
        (["audit"], "Missing argument 'SCOPE'"),
        (["audit", "scope.toml", "--fail-on", "awful"], "'awful' is not one of 'critical', 'high'"),
        (["scope", "check", "scope.toml", "--port", "99999"], "--port"),
        (["report", "--format", "pdf"], "'pdf' is not one of 'html', 'json', 'csv'"),
        (["purge"], "Missing option '--older-than'"),
    ],
)
def test_a_mistake_in_an_option_is_one_line_with_where_to_read_on(
    here: Run, tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = here(*arguments)

    assert is_one_line(result), result
    assert said in result.stderr
    assert "; see leadapron " in result.stderr
    assert result.stderr.endswith("--help\n")


@pytest.mark.parametrize("command", ["audit", "scope check", "scope export"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.toml", None, "No such file or directory"),
        (".", None, "Is a directory"),
        ("socket", None, "cannot be read"),
        ("broken.toml", b"version = [", "is not TOML"),
        ("binary.toml", b"\xff\xfe\x00", "is not UTF-8"),
    ],
)
def test_a_scope_file_that_cannot_be_read_is_one_line(
    here: Run, tmp_path: Path, command: str, name: str, content: bytes | None, said: str
) -> None:
    with socket.socket(socket.AF_UNIX) as unreadable:
        unreadable.bind(str(tmp_path / "socket"))
        if content is not None:
            (tmp_path / name).write_bytes(content)

        result = here(*command.split(), name)

    assert is_one_line(result), result
    assert result.stderr.startswith(name)
    assert said in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_scope_file_without_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("open", "read_bytes", "read_text"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(InputError, match=r"^[^\n]*Permission denied[^\n]*$"):
        load_scope(tmp_path / "scope.toml")


@pytest.mark.parametrize("command", ["show", "report", "stop", "purge --older-than 90d"])
def test_reading_makes_no_store(here: Run, tmp_path: Path, command: str) -> None:
    result = here(*command.split(), "--store", f"sqlite:///{tmp_path}/else/x.db")

    assert is_one_line(result), result
    assert f"no store at {tmp_path}/else/x.db" in result.stderr
    assert not (tmp_path / "else").exists()


@pytest.mark.parametrize("command", ["show", "report", "stop"])
def test_a_run_that_is_not_there_is_one_line(here: Run, tmp_path: Path, command: str) -> None:
    store_run(tmp_path)

    result = here(command, "nosuch")

    assert is_one_line(result), result
    assert "no run 'nosuch'" in result.stderr


@pytest.mark.parametrize("command", ["show", "audit scope.toml"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres:/me:s3cret@db/x", "no database URL"),
        ("mysql://me:s3cret@db/x", "another kind"),
        ("nosuch://me:s3cret@db/x", "another kind"),
        ("postgresql+nosuch://me:s3cret@db/x", "driver"),
        ("sqlite:///folder", "Is a directory"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x.db?uri=true", "file: URI"),
        ("sqlite:///text.db", "is not a store"),
        ("sqlite:///broken.db", "cannot be opened"),
        ("sqlite:///other.db", "the database of something else"),
        ("sqlite:///future.db", "newer version"),
    ],
)
def test_a_store_that_cannot_be_one_is_one_line_without_its_password_and_is_left_alone(
    here: Run, tmp_path: Path, command: str, url: str, said: str
) -> None:
    write_scope(tmp_path / "scope.toml", networks=["127.88.0.1/32"], ports=[9])
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("the diary of somebody")
    (tmp_path / "text.db").chmod(0o644)
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 500)
    _change(tmp_path / "other.db", "CREATE TABLE bookmarks (url TEXT)")
    Store.open(f"sqlite:///{tmp_path / 'future.db'}").close()
    _change(tmp_path / "future.db", "UPDATE alembic_version SET version_num = '9999'")

    result = here(*command.split(), "--store", url)

    assert is_one_line(result), result
    assert said in result.stderr
    assert "s3cret" not in result.stderr
    assert (tmp_path / "text.db").read_text() == "the diary of somebody"
    assert stat.S_IMODE((tmp_path / "text.db").stat().st_mode) == 0o644


def _change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_data_directory_that_cannot_be_made_is_one_line(here: Run, tmp_path: Path) -> None:
    write_scope(tmp_path / "scope.toml", networks=["127.88.0.1/32"], ports=[9])
    (tmp_path / "data").touch()

    whole = here("audit", "scope.toml")
    runs = here("audit", "scope.toml", "--store", "sqlite:///x.db")

    assert is_one_line(whole), whole
    assert is_one_line(runs), runs
    assert "LEADAPRON_DATA" in runs.stderr


def test_without_a_command_the_help_is_shown_and_nothing_is_cut_off(here: Run, tmp_path: Path) -> None:
    result = here()

    assert result.returncode == 2
    assert result.stderr.startswith("Usage: leadapron [OPTIONS] COMMAND")
    assert "..." not in result.stderr.replace("[ARGS]...", "")
    assert max(map(len, result.stderr.splitlines())) <= 80


@pytest.mark.parametrize("command", ["", "audit", "demo", "init", "scope", "scope check", "scope export", "show"])
def test_help_is_a_result_and_fits_80_columns(here: Run, tmp_path: Path, command: str) -> None:
    result = here(*command.split(), "--help")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: leadapron {command}".rstrip())
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_version_is_one_line(here: Run, tmp_path: Path) -> None:
    result = here("--version")

    assert re.fullmatch(r"leadapron \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["report"], ["report", "--format", "csv"]])
def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    store_run(tmp_path)
    process = start(tmp_path, *arguments)
    assert process.stdout is not None
    process.stdout.close()

    assert process.stderr is not None
    with process.stderr as said:
        assert said.read() == ""
    assert process.wait(60) == 0


@pytest.mark.parametrize("changes", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}])
def test_a_locale_without_our_characters_is_no_error(tmp_path: Path, changes: dict[str, str]) -> None:
    store_run(tmp_path)

    result = leadapron(tmp_path, "show", **changes)

    assert (result.returncode, result.stderr) == (0, "")
    assert "run-1" in result.stdout


@pytest.mark.parametrize("arguments", [["show"], ["--help"], ["purge", "--older-than", "0d", "--dry-run"]])
def test_no_escape_sequence_goes_into_a_pipe(tmp_path: Path, arguments: list[str]) -> None:
    store_run(tmp_path)

    result = leadapron(tmp_path, *arguments, TERM="xterm-256color")

    assert result.returncode == 0
    assert ESCAPE not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("changes", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_is_coloured_unless_it_should_not_be(
    tmp_path: Path, changes: dict[str, str], coloured: bool
) -> None:
    store_run(tmp_path, status=RunStatus.STOPPED)

    screen = on_terminal(tmp_path, "show", **changes)

    assert "run-1" in screen
    colours = re.findall(r"\x1b\[[0-9;]*m", screen)
    assert any(re.search(r"[\[;](3[0-7]|4[0-7]|9[0-7])[;m]", colour) for colour in colours) is coloured
    if changes["TERM"] == "dumb":
        assert ESCAPE not in screen


def on_terminal(folder: Path, *arguments: str, **changes: str) -> str:
    """What a process writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "leadapron", *arguments],
        cwd=folder,
        env=environment(folder, COLUMNS="80", **changes),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while data := os.read(ours, 65536):
                written += data
        except OSError:  # Linux says EIO when the last writer has left
            pass
        process.wait(60)
    os.close(ours)
    return written.decode()


def test_the_help_keeps_its_last_full_stop(here: Run) -> None:
    assert here().stderr == here("--help").stdout
    assert here("scope").stderr == here("scope", "--help").stdout
    assert here("scope").stderr.endswith("as rules of a firewall.\n")


def break_show(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(_url: str, _run: str | None) -> None:
        secret = "the value of a local"  # noqa: F841
        raise error

    monkeypatch.setattr("leadapron.report.load.load_view", broken)


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_fault_of_ours_is_one_line_without_what_it_held(
    here: Run, monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    monkeypatch.setattr("logging.basicConfig", lambda level, **_: logging.getLogger().setLevel(level))
    error = ExceptionGroup("DOE^JOHN", [ValueError("DOE^JANE")])
    error.__cause__ = KeyError("DOE^JIM")
    break_show(monkeypatch, error)

    level = logging.getLogger().level
    result = here(*debug, "show")
    logging.getLogger().setLevel(level)

    assert (result.returncode, result.stdout) == (3, "")
    *traced, last = result.stderr.splitlines()
    assert last.startswith("not finished: a fault of ours, ExceptionGroup at leadapron/cli/show.py:")
    assert "DOE" not in result.stderr
    assert "the value of a local" not in result.stderr.replace('secret = "the value of a local"', "")
    if debug:
        assert [line for line in traced if not line.startswith(" ")] == [
            "builtins.ExceptionGroup",
            "behind it:",
            "builtins.ValueError",
            "behind it:",
            "builtins.KeyError",
        ]
    else:
        assert traced == []


def test_an_error_of_the_system_names_its_file_and_is_no_result(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    break_show(monkeypatch, OSError(5, "Input/output error", "/the/disk"))

    result = here("show")

    assert result.returncode == 3
    assert result.stderr == "/the/disk: Input/output error; not finished, what was written before is kept\n"


def test_an_interrupt_is_a_stop(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    break_show(monkeypatch, KeyboardInterrupt())

    assert here("show").returncode == 3


PRINTING = [
    ["show"],
    ["show", "--json"],
    ["report"],
    ["report", "--format", "csv"],
    ["--help"],
    ["--version"],
    ["purge", "--older-than", "90d"],
    ["scope", "check", "scope.toml"],
]


def redirected(folder: Path, arguments: list[str], how: str) -> subprocess.CompletedProcess[str]:
    store_run(folder)
    write_scope(folder / "scope.toml", networks=["127.88.0.1/32"], ports=[9])
    shell = f'exec "$0" -m leadapron "$@" {how}'
    return subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable, *arguments],
        check=False,
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_closed_stdout_is_a_reader_that_never_was(tmp_path: Path, arguments: list[str]) -> None:
    result = redirected(tmp_path, arguments, ">&-")

    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_full_disk_under_stdout_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    result = redirected(tmp_path, arguments, "> /dev/full")

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("stdout: No space left on device")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("how", ["2>&-", "2> /dev/full", "<&- >&- 2>&-"])
def test_nobody_has_to_hear_a_mistake(tmp_path: Path, how: str) -> None:
    assert redirected(tmp_path, ["show", "nosuch"], how).returncode == 2


def test_the_number_of_a_closed_stream_is_not_given_to_the_store(tmp_path: Path) -> None:
    store_run(tmp_path)
    before = (tmp_path / "data" / "leadapron.db").read_bytes()

    result = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m leadapron show nosuch <&- >&- 2>&-', sys.executable],
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path),
        timeout=60,
    )

    assert result.returncode == 2
    assert (tmp_path / "data" / "leadapron.db").read_bytes() == before


def test_a_reader_of_the_help_that_leaves_is_no_error(tmp_path: Path) -> None:
    process = start(tmp_path, "--help")
    assert process.stdout is not None
    process.stdout.close()

    assert process.stderr is not None
    with process.stderr as said:
        assert said.read() == ""
    assert process.wait(60) == 0


def test_questions_can_be_stopped(tmp_path: Path) -> None:
    """Ctrl-C at a question: exit code 3, no traceback, no file."""
    process = start(tmp_path, "init", stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.read(len("Identifier")) == "Identifier"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "Traceback" not in err
    assert "nothing was written" in err
    assert list(tmp_path.iterdir()) == []
