"""`leadapron demo`: the main job on an embedded estate, compared with its truth."""

from __future__ import annotations

import contextlib
import json as json_module
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from leadapron.cli.options import JsonOption, QuietOption
from leadapron.cli.output import say, while_read

START_TIMEOUT = 30.0
EXIT_DIFFERS = 3

MAX_SEED = 999_999_986
"""`leadapron.lab.estate.MAX_SEED`, which is not imported for `--help`."""

OWN_LINE = "# The scope of `leadapron demo`: made-up servers on this machine's loopback."
"""The first line of the scope file: by it a directory is known as one of an earlier demo."""
STORE = ("demo.db", "demo.db-wal", "demo.db-shm", "demo.db-journal")
FILES = ("scope.toml", *STORE, "report.html", "report.json")


def demo_command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Where the scope, the store and the report go."),
    ] = Path("leadapron-demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Of the made-up studies.")] = 2020,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    try:
        code = demo(output, seed=seed, json=json, quiet=quiet)
    except KeyboardInterrupt:
        say("\nStopped.")
        code = EXIT_DIFFERS
    raise typer.Exit(code)


def demo(output: Path, *, seed: int, json: bool, quiet: bool) -> int:
    """Start the estate, audit it, compare, write the report. 0 when the audit found the truth."""
    from leadapron.cli.audit import audit
    from leadapron.cli.report import write_private
    from leadapron.cli.show import print_run
    from leadapron.model import RunStatus
    from leadapron.pipeline import Options
    from leadapron.settings import sqlite_url

    directory = _directory(output.absolute())
    url, scope = sqlite_url(directory / STORE[0]), directory / "scope.toml"
    with tempfile.TemporaryDirectory(prefix="leadapron-") as data, _estate(seed) as estate:
        os.environ["LEADAPRON_DATA"] = data
        write_private(scope, estate["scope"], force=True)
        options = Options(sweep_timeout=1.0, hello_timeout=2.0)
        run, _ = audit(scope, url=url, resume=False, options=options, quiet=quiet)
    if not json:
        print_run(url, run.id, json=False)
    if run.status is RunStatus.STOPPED:
        say("Stopped; nothing was compared.")
        return EXIT_DIFFERS
    return _compare_and_report(url, directory, estate["truth"], json=json)


def _directory(path: Path) -> Path:
    """The directory, made or taken from an earlier demo, without the store of that one. Raises InputError when there is
    anything in it that a demo would overwrite and did not write."""
    from leadapron.errors import InputError
    from leadapron.settings import make_private_directory

    try:
        make_private_directory(path)
        there = [name for name in FILES if os.path.lexists(path / name)]
        if there and not _is_own(path / FILES[0]):
            raise InputError(f"{path}: holds a {there[0]} that no demo wrote; name another directory with --output")
        for name in STORE:
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}; name another directory with --output") from None
    return path


def _is_own(scope: Path) -> bool:
    if not scope.is_file():
        return False
    with scope.open("rb") as file:
        return file.readline(len(OWN_LINE) + 1).rstrip() == OWN_LINE.encode()


def _compare_and_report(url: str, directory: Path, truth: Any, *, json: bool) -> int:
    from leadapron.cli.report import write_private
    from leadapron.lab.compare import compare
    from leadapron.report.html import render_html
    from leadapron.report.json import render_json
    from leadapron.report.load import load_view

    view = load_view(url, None)
    report = render_json(view)
    write_private(directory / "report.json", report, force=True)
    write_private(directory / "report.html", render_html(view), force=True)
    differences = compare(truth, json_module.loads(report))
    for difference in differences:
        say(f"differs from the truth: {difference}")
    with while_read():
        typer.echo(_as_json(differences, directory, report) if json else _in_words(differences, directory))
    return EXIT_DIFFERS if differences else 0


def _in_words(differences: Sequence[str], directory: Path) -> str:
    verdict = "The audit missed the truth." if differences else "The audit found exactly what the estate holds."
    return f"\n{verdict}\nReport: {directory / 'report.html'}"


def _as_json(differences: Sequence[str], directory: Path, report: str) -> str:
    result = {
        "found_the_truth": not differences,
        "differences": list(differences),
        "directory": str(directory),
        "report": json_module.loads(report),
    }
    return json_module.dumps(result, indent=2)


@contextlib.contextmanager
def _estate(seed: int) -> Iterator[dict[str, Any]]:
    """The estate in a process of its own, which ends when its stdin closes. Yields what it says of itself."""
    command = [sys.executable, "-m", "leadapron.lab", "--seed", str(seed)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter; a Ctrl-C is for us, and reaches it as the end of stdin
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        if not line:
            raise typer.Exit(EXIT_DIFFERS)
        try:
            yield json_module.loads(line)
        finally:
            process.stdin.close()
            process.stdout.read()
            process.wait(timeout=START_TIMEOUT)
