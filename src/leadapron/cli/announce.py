"""`leadapron announce scope.toml`."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from leadapron.cli.options import JsonOption, ScopeArgument
from leadapron.cli.output import while_read


def announce_command(
    scope: ScopeArgument,
    addresses: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ADDRESS", help="An address or network that we come from; repeatable."),
    ] = None,
    phone: Annotated[str, typer.Option("--phone", help="Whom to call while it goes on.", show_default=False)] = "",
    lang: Annotated[str | None, typer.Option("--lang", help="en (the default) or it.", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Write the note to the SOC, the PACS team and vendors. Sends nothing."""
    from leadapron.errors import InputError
    from leadapron.report.announcement import Sender, announcement, as_json
    from leadapron.scope.grant import load_scope

    if json and lang is not None:
        raise InputError("--lang serves the note only; leave it out, or leave out --json")
    loaded = load_scope(scope)
    sender = Sender(addresses=tuple(map(_address, addresses or ())), phone=_phone(phone))
    if json:
        text = json_module.dumps(as_json(loaded, sender), indent=2, ensure_ascii=False)
    else:
        text = announcement(loaded, sender, lang or "en").rstrip("\n")
    with while_read():
        typer.echo(text)


def _address(text: str) -> str:
    from ipaddress import ip_address, ip_network

    from leadapron.errors import InputError

    try:
        return str(ip_network(text) if "/" in text else ip_address(text.strip("[]")))
    except ValueError:
        raise InputError(f"--from: {text!r} is no address and no network; write 198.18.0.1 or 2001:db8::/64") from None


def _phone(text: str) -> str:
    from leadapron.errors import InputError
    from leadapron.scope import parse

    try:
        return parse.optional_line(text)
    except parse.Mistake as mistake:
        raise InputError(f"--phone: {mistake}") from None
