"""`leadapron accept`, `false-positive` and `planned`: what is decided about a finding."""

from __future__ import annotations

import datetime as dt
import json as json_module
import os
import pwd
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadapron.cli.options import JsonOption, StoreOption
from leadapron.cli.output import while_read
from leadapron.errors import InputError
from leadapron.model import Disposition, DispositionKind, Finding

if TYPE_CHECKING:
    from leadapron.store.store import Store

LONGEST = {"--owner": 200, "--why": 1000}
"""Characters."""

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The finding, or the beginning of its key.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="The last day (2027-01-31, UTC).", show_default=False)
]
OwnerOption = Annotated[
    str | None, typer.Option("--owner", metavar="TEXT", help="Who answers for it.", show_default=False)
]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason.", show_default=False)]
WithdrawOption = Annotated[bool, typer.Option("--withdraw", help="Take it back.")]


def accept_command(
    key: KeyArgument,
    until: UntilOption = None,
    owner: OwnerOption = None,
    why: WhyOption = None,
    withdraw: WithdrawOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    given = {"--until": until, "--owner": owner, "--why": why}
    _dispose(DispositionKind.ACCEPTED, key, given, withdraw=withdraw, store=store, json=json)


def false_positive_command(
    key: KeyArgument,
    until: UntilOption = None,
    owner: OwnerOption = None,
    why: WhyOption = None,
    withdraw: WithdrawOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    given = {"--until": until, "--owner": owner, "--why": why}
    _dispose(DispositionKind.FALSE_POSITIVE, key, given, withdraw=withdraw, store=store, json=json)


def planned_command(
    key: KeyArgument,
    until: UntilOption = None,
    owner: OwnerOption = None,
    why: WhyOption = None,
    withdraw: WithdrawOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    given = {"--until": until, "--owner": owner, "--why": why}
    _dispose(DispositionKind.PLANNED, key, given, withdraw=withdraw, store=store, json=json)


def _dispose(
    kind: DispositionKind, key: str, given: dict[str, str | None], *, withdraw: bool, store: str | None, json: bool
) -> None:
    from leadapron.settings import default_store_url
    from leadapron.store.dispositions import check_is_here
    from leadapron.store.store import Store

    now = dt.datetime.now(dt.UTC)
    if withdraw and (useless := next((name for name, value in given.items() if value is not None), None)):
        raise InputError(f"{useless} says nothing about what is withdrawn; leave it out")
    parts = None if withdraw else checked(kind, given, today=now.date())
    with Store.open(store or default_store_url(), create=False) as opened:
        finding, _ = opened.finding(key)
        if parts is None:
            _withdraw(opened, finding, kind, now)
            decided = None
        else:
            check_is_here(finding)
            decided = Disposition(key=finding.key, kind=kind, recorded_at=now, recorded_by=_user(), **parts)
            opened.record_disposition(decided)
    with while_read():
        typer.echo(json_module.dumps(_as_json(finding, decided)) if json else _in_words(finding, kind, decided))


def checked(kind: DispositionKind, given: dict[str, str | None], *, today: dt.date) -> dict[str, Any]:
    """`until`, `owner` and `why`. Raises InputError."""
    texts = {name.removeprefix("--"): _text(name, given[name]) for name in LONGEST}
    until = given["--until"]
    if until is None and kind is not DispositionKind.FALSE_POSITIVE:
        raise InputError("--until is missing; give the last day, like 2027-01-31")
    return {"until": None if until is None else _day(until, today), **texts}


def _text(name: str, value: str | None) -> str:
    text = (value or "").strip()
    if not text:
        raise InputError(f"{name} is missing; reports show it with the finding")
    if len(text) > LONGEST[name]:
        raise InputError(f"{name} is longer than {LONGEST[name]} characters; shorten it")
    if not text.isprintable():
        raise InputError(f"{name} holds characters that do not print; write it in one line of plain text")
    return text


def _day(text: str, today: dt.date) -> dt.date:
    try:
        day = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise InputError(f"--until {text!r} is no date; write it like 2027-01-31") from None
    if day < today:
        raise InputError(f"--until {day} has passed; today is {today} (UTC)")
    return day


def _withdraw(store: Store, finding: Finding, kind: DispositionKind, now: dt.datetime) -> None:
    standing = store.dispositions().get(finding.key)
    if standing is None:
        raise InputError(f"nothing is decided about finding {finding.key}; there is nothing to withdraw")
    if standing.kind is not kind:
        raise InputError(f"finding {finding.key} is recorded as {standing.kind.value}; withdraw that")
    store.withdraw_disposition(finding.key, at=now, by=_user())


def _user() -> str:
    """Of the machine: recorded, and in no report."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _as_json(finding: Finding, decided: Disposition | None) -> dict[str, object]:
    from leadapron.report.json import disposition
    from leadapron.report.view import Decision

    shown = None if decided is None else disposition(Decision(disposition=decided, is_expired=False))
    return {"key": finding.key, "control": finding.control, "disposition": shown}


def _in_words(finding: Finding, kind: DispositionKind, decided: Disposition | None) -> str:
    what = f"Finding {finding.key} ({finding.control} at {finding.service.endpoint})"
    if decided is None:
        return f"{what} is no longer recorded as {kind.value}."
    until = f" until {decided.until} (UTC)" if decided.until else ""
    return f"{what} is recorded as {kind.value}{until}. Reports say so; while that holds, it fails no audit."
