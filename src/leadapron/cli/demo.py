"""`leadapron demo`: the main job on an embedded estate, compared with its truth."""

from __future__ import annotations

import contextlib
import json as json_module
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from leadapron.cli.options import QuietOption
from leadapron.cli.output import while_read

START_TIMEOUT = 30.0
EXIT_DIFFERS = 3

MAX_SEED = 999_999_995
"""`leadapron.lab.estate.MAX_SEED`, which is not imported for `--help`."""


def demo_command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Where the scope, the store and the report go."),
    ] = Path("leadapron-demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Of the made-up studies.")] = 2020,
    quiet: QuietOption = False,
) -> None:
    try:
        code = demo(output, seed=seed, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo("\nStopped.", err=True)
        code = EXIT_DIFFERS
    raise typer.Exit(code)


def demo(output: Path, *, seed: int, quiet: bool) -> int:
    """Start the estate, audit it, compare, write the report. 0 when the audit found the truth."""
    from leadapron.cli.audit import audit
    from leadapron.model import RunStatus
    from leadapron.pipeline import Options

    directory = _directory(output.absolute())
    url = f"sqlite:///{directory / 'demo.db'}"
    with tempfile.TemporaryDirectory(prefix="leadapron-") as data, _estate(seed) as estate:
        os.environ["LEADAPRON_DATA"] = data
        scope = directory / "scope.toml"
        scope.write_text(estate["scope"], encoding="utf-8")
        options = Options(sweep_timeout=1.0, hello_timeout=2.0)
        run, _ = audit(scope, store=url, resume=False, options=options, json=False, quiet=quiet)
    if run.status is RunStatus.STOPPED:
        typer.echo("Stopped; nothing was compared.", err=True)
        return EXIT_DIFFERS
    return _compare_and_report(url, directory, estate["truth"])


def _directory(path: Path) -> Path:
    from leadapron.errors import InputError
    from leadapron.settings import make_private_directory

    try:
        return make_private_directory(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name another directory with --output") from None


def _compare_and_report(url: str, directory: Path, truth: Any) -> int:
    from leadapron.lab.compare import compare
    from leadapron.report.html import render_html
    from leadapron.report.json import render_json
    from leadapron.report.load import load_view

    view = load_view(url, None)
    report = render_json(view)
    (directory / "report.json").write_text(report, encoding="utf-8")
    (directory / "report.html").write_text(render_html(view), encoding="utf-8")
    differences = compare(truth, json_module.loads(report))
    for difference in differences:
        typer.echo(f"differs from the truth: {difference}", err=True)
    verdict = "The audit found exactly what the estate holds." if not differences else "The audit missed the truth."
    with while_read():
        typer.echo(f"\n{verdict}\nReport: {directory / 'report.html'}")
    return EXIT_DIFFERS if differences else 0


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
