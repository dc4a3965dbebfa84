"""`leadapron survey`: what a survey owes those whom it meets, and how well it sees."""

from __future__ import annotations

import json as json_module
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadapron.cli.options import JsonOption, ScopeArgument
from leadapron.cli.output import while_read
from leadapron.cli.survey_compare import compare_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadapron.model import Address
    from leadapron.scope.grant import Exclusion, Network

survey_app = typer.Typer(no_args_is_help=True)


@survey_app.callback()
def _group() -> None:
    """What a survey owes those whom it meets, and how well it sees."""


survey_app.command("compare", short_help="Hold a run against the truth of a made-up world.")(compare_command)


@survey_app.command("exclude", short_help="Leave networks alone, from now on and for ever.")
def exclude_command(
    scope: ScopeArgument,
    networks: Annotated[
        list[str], typer.Argument(metavar="NETWORK", help="An address or network; several.", show_default=False)
    ],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="The reason.", show_default=False)],
    asked_by: Annotated[
        str, typer.Option("--asked-by", metavar="TEXT", help="Who asked; published nowhere.", show_default=False)
    ] = "",
    json: JsonOption = False,
) -> None:
    """Add networks to the exclusions of the survey. They hold against every grant; a run that goes on heeds them within
    seconds."""
    import datetime as dt

    from leadapron.scope import parse
    from leadapron.scope.exclusions import add_exclusions, read_exclusions
    from leadapron.scope.grant import Exclusion
    from leadapron.scope.read import exclusions_file

    found = [_network(network) for network in networks]
    reason, who = _text("--because", because, parse.line), _text("--asked-by", asked_by, parse.optional_line)
    path, now = exclusions_file(scope), dt.datetime.now(dt.UTC).replace(microsecond=0)
    new = add_exclusions(
        path, [Exclusion(network=network, since=now, because=reason, asked_by=who) for network in found]
    )
    known = {exclusion.network: exclusion for exclusion in read_exclusions(path, path.name)}
    held = [known[network] for network in dict.fromkeys(found)]
    if json:
        text = json_module.dumps([_as_json(each) | {"added": each in new} for each in held], ensure_ascii=False)
    else:
        text = "\n".join([*(_in_words(each, is_new=each in new) for each in held), _summary(path, len(known))])
    with while_read():
        typer.echo(text)


@survey_app.command("exclusions", short_help="List what a survey leaves alone.")
def exclusions_command(scope: ScopeArgument, json: JsonOption = False) -> None:
    """List the exclusions of the survey, the oldest first, with who asked for them and why."""
    from leadapron.errors import InputError
    from leadapron.scope.exclusions import read_exclusions
    from leadapron.scope.parse import Mistake
    from leadapron.scope.read import exclusions_file

    path = exclusions_file(scope)
    try:
        exclusions = read_exclusions(path, path.name)
    except Mistake as mistake:
        raise InputError(f"{path.parent}: {mistake}") from None
    if json:
        text = json_module.dumps([_as_json(each) for each in exclusions], indent=2, ensure_ascii=False)
    else:
        text = "\n".join([*_table(exclusions), f"{len(exclusions):,} in {path}"])
    with while_read():
        typer.echo(text)


@survey_app.command("kit", short_help="Write what a survey publishes.")
def kit_command(
    scope: ScopeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write the files.", show_default=False)],
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="ADDRESS", help="An address that the survey comes from; repeatable."),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="en or it, of the page.")] = "en",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Write what a responsible survey publishes: a page on what it is and how to leave it, lines for the DNS and whois, and
    the networks that it leaves alone."""
    import datetime as dt

    from leadapron.report.kit import Kit, kit_files
    from leadapron.scope.grant import load_scope

    kit = Kit.of(load_scope(scope), [_address(source) for source in sources or ()], dt.datetime.now(dt.UTC).date())
    files = kit_files(kit, lang)
    _publish(out, files, force=force)
    with while_read():
        typer.echo("\n".join(str(out / name) for name in files))


def _publish(folder: Path, files: dict[str, str], *, force: bool) -> None:
    """All or, where one stands in the way, none. They are for everybody to read."""
    from leadapron.cli.report import write_private
    from leadapron.errors import InputError

    if not force and (known := next((name for name in files if os.path.lexists(folder / name)), None)):
        raise InputError(f"{folder / known}: exists; choose another folder, or --force to replace what is there")
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        for name, text in files.items():
            write_private(folder / name, text, force=force)
            (folder / name).chmod(0o644)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; choose another folder") from None


def _address(text: str) -> Address:
    from ipaddress import ip_address

    from leadapron.errors import InputError

    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        raise InputError(f"--source: {text!r} is not an address; write it as 198.18.0.1 or 2001:db8::1") from None


def _network(text: str) -> Network:
    from leadapron.errors import InputError
    from leadapron.scope import parse

    try:
        return parse.network(text)
    except parse.Mistake as mistake:
        raise InputError(f"{mistake}") from None


def _text(option: str, text: str, read: Callable[[str], str]) -> str:
    """In one column of the file, in which two spaces end one."""
    from leadapron.errors import InputError
    from leadapron.scope.parse import Mistake

    try:
        return " ".join(read(text).split())
    except Mistake as mistake:
        raise InputError(f"{option}: {mistake}") from None


def _as_json(exclusion: Exclusion) -> dict[str, Any]:
    return {
        "network": str(exclusion.network),
        "since": f"{exclusion.since:%Y-%m-%dT%H:%M:%SZ}",
        "because": exclusion.because,
        "asked_by": exclusion.asked_by,
    }


def _in_words(exclusion: Exclusion, *, is_new: bool) -> str:
    if is_new:
        return f"{exclusion.network} is excluded: {exclusion.because}"
    return f"{exclusion.network} was excluded already, since {exclusion.since:%Y-%m-%d %H:%M} UTC: {exclusion.because}"


def _summary(path: Path, count: int) -> str:
    held = "One exclusion stands" if count == 1 else f"{count:,} exclusions stand"
    return f"{held} in {path}. A run that goes on heeds them within seconds."


def _table(exclusions: tuple[Exclusion, ...]) -> list[str]:
    width = max((len(str(exclusion.network)) for exclusion in exclusions), default=0)
    return [
        f"{exclusion.network!s:{width}}  {exclusion.since:%Y-%m-%d %H:%M} UTC  {exclusion.because}"
        + (f" (asked by {exclusion.asked_by})" if exclusion.asked_by else "")
        for exclusion in exclusions
    ]
