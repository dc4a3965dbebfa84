"""`leadapron`: the commands, and the one place where errors become exit codes.

0 complete and nothing at or above `--fail-on`, 1 complete with such findings, 2 usage or scope error, 3 stopped,
incomplete or blind. Heavy modules are imported inside the commands: `--help` loads neither numpy nor SQLAlchemy.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from leadapron import __version__
from leadapron.cli import failure
from leadapron.cli.announce import announce_command
from leadapron.cli.audit import Ended, audit_command
from leadapron.cli.changes import changes_command
from leadapron.cli.cluster import cluster_app
from leadapron.cli.demo import demo_command
from leadapron.cli.disposition import accept_command, false_positive_command, planned_command
from leadapron.cli.feeds import feeds_command
from leadapron.cli.files import files_command
from leadapron.cli.init import init_command
from leadapron.cli.listen import listen_command
from leadapron.cli.output import broken_stdout, make_ready, say
from leadapron.cli.purge import purge_command
from leadapron.cli.report import report_command
from leadapron.cli.scope import scope_app
from leadapron.cli.show import show_command
from leadapron.cli.stop import stop_command
from leadapron.cli.survey import survey_app
from leadapron.cli.unasked import log_without_values, say_no_values
from leadapron.cli.vantage import vantage_app
from leadapron.cli.verify import verify_command
from leadapron.errors import LeadApronError
from leadapron.settings import protect_process

EXIT_ERROR, EXIT_STOPPED = 2, 3
INTERRUPTED = 130
"""What typer makes of a Ctrl-C."""

USAGE_ERROR: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
"""UsageError of click, which typer carries inside in some versions and exports in none."""

app = typer.Typer(
    name="leadapron",
    help="Find medical imaging servers that anyone can reach, prove what is exposed, and see it closed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", help="Audit made-up servers on loopback; compare with the truth.")(demo_command)
app.command("init", help="Write a commented scope file, after asking.")(init_command)
app.add_typer(scope_app, name="scope", help="Explain a scope file, or export it as firewall rules.")
app.add_typer(vantage_app, name="vantage", help="Check from where we look.")
app.add_typer(survey_app, name="survey", help="What a survey owes those whom it meets.")
app.command("listen", help="Answer a scanner elsewhere that checks its way out.")(listen_command)
app.command("announce", help="Write the note to those who will see an audit.")(announce_command)
app.command("audit", help="Audit the DICOM servers of a scope.")(audit_command)
app.add_typer(cluster_app, name="cluster", help="One audit by several machines, on a Dask cluster.")
app.command("files", help="Count the images in a folder of this machine.")(files_command)
app.command("show", help="Show a run in the terminal.")(show_command)
app.command("report", help="Write the report of a run as HTML, JSON or CSV.")(report_command)
app.command("feeds", help="Write the findings that stand, for each country or AS.")(feeds_command)
app.command("changes", help="Show what opened, closed or moved since an earlier run.")(changes_command)
app.command("accept", help="Record that the risk of a finding is carried until a day.")(accept_command)
app.command("false-positive", help="Record that a finding is none.")(false_positive_command)
app.command("planned", help="Record until when a finding will be remedied.")(planned_command)
app.command("verify", help="Ask the service of one finding again.")(verify_command)
app.command("stop", help="Stop a running audit within seconds; it can be resumed.")(stop_command)
app.command("purge", help="Delete old runs from the store.")(purge_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leadapron {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Log what is done, never what a peer sent.")] = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    protect_process()
    log_without_values(logging.DEBUG if debug else logging.WARNING)


def run() -> None:
    """The entry point."""
    say_no_values()
    make_ready()
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code = app(prog_name="leadapron", standalone_mode=False) or 0
    except USAGE_ERROR as error:
        say(_usage(error))
    except Ended as ended:
        say(str(ended))
        return EXIT_STOPPED
    except LeadApronError as error:
        say(str(error))
    except (typer.Abort, KeyboardInterrupt):
        say("\nStopped; nothing was written.")
        return EXIT_STOPPED
    except SystemExit:  # of typer, for a pipe that broke: under the help, or somewhere it should not
        return EXIT_STOPPED if broken_stdout() is None else 0
    except BaseException as error:  # noqa: BLE001 - the last boundary: a traceback would hold values, and exit with 1
        return _failed(error)
    else:
        return EXIT_STOPPED if code == INTERRUPTED else code
    return EXIT_ERROR


def _failed(error: BaseException) -> int:
    if isinstance(error, OSError) and (why := broken_stdout()) is not None:
        say(f"stdout: {why}")
        return EXIT_ERROR
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        say("\n".join(failure.trace(error)))
    say(failure.in_one_line(error))
    return EXIT_STOPPED


def _usage(error: typer.BadParameter) -> str:
    """One line; or the help, which is shown to those who give nothing."""
    message = error.format_message().replace("Value error, ", "")
    if error.ctx is None or "\n" in message:
        return message
    return f"{error.ctx.command_path}: {message.removesuffix('.')}; see {error.ctx.command_path} --help"
