"""`leadapron scope check` and `leadapron scope export`."""

from __future__ import annotations

import datetime as dt
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import JsonOption, ScopeArgument
from leadapron.cli.output import say, while_read

if TYPE_CHECKING:
    from leadapron.model import Address
    from leadapron.scope.explain import Account, Overview, Sum, SurveyLine
    from leadapron.scope.gate import Gate
    from leadapron.scope.grant import Scope, SweepTerms

scope_app = typer.Typer(no_args_is_help=True)

ResolveOption = Annotated[
    bool, typer.Option("--resolve", help="Ask the name servers for the granted names; else they are left out.")
]


_METHODS = {
    "auto": "SYN packets where they may be sent and a grant is wide, else by connections",
    "syn": "SYN packets",
    "connect": "connections",
}


class ExportFormat(enum.StrEnum):
    NFT = "nft"


@scope_app.command("check", short_help="Explain what a scope lets Lead Apron touch.")
def check_command(
    scope: ScopeArgument,
    address: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="Explain why this address is touched or not.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65_535, help="With ADDRESS; the first of the scope by default."),
    ] = None,
    resolve: ResolveOption = False,
    json: JsonOption = False,
) -> None:
    """Explain what a scope file lets Lead Apron touch. Sends nothing (but see --resolve)."""
    from leadapron.errors import InputError
    from leadapron.scope.explain import account, overview
    from leadapron.scope.gate import Gate
    from leadapron.scope.grant import load_scope

    if address is None and port is not None:
        raise InputError("--port asks about one address; name it after the scope file")
    loaded = load_scope(scope)
    gate = Gate(loaded, pins=_pins(loaded, resolve=resolve))
    if address is None:
        view = overview(gate, dt.datetime.now(dt.UTC))
        here = _sweep_here(loaded)
        told = {"sweep_from_here": dict(zip(("method", "because"), here, strict=True))}
        text = _json(view, **told) if json else "\n".join(_overview_lines(view, here))
    else:
        answer = account(gate, _address(address), port or loaded.ports.all[0])
        text = _json(answer) if json else "\n".join(_account_lines(answer, gate))
    with while_read():
        typer.echo(text)


@scope_app.command("export", short_help="Print the scope as rules of a firewall.")
def export_command(
    scope: ScopeArgument,
    to: Annotated[ExportFormat, typer.Option("--format", help="nft: rules for nftables.")] = ExportFormat.NFT,
    user: Annotated[str, typer.Option("--user", help="The system user that runs leadapron, by name or number.")] = (
        "leadapron"
    ),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to this file (mode 0600).", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    resolve: ResolveOption = False,
) -> None:
    """Print the scope as firewall rules that hold the scanner's user from outside."""
    from leadapron.cli.report import write_private
    from leadapron.scope.export import nft_rules
    from leadapron.scope.grant import load_scope

    loaded = load_scope(scope)
    rules = {ExportFormat.NFT: nft_rules}[to](loaded, _pins(loaded, resolve=resolve), user=user)
    if output is None:
        with while_read():
            typer.echo(rules, nl=False)
    else:
        write_private(output, rules, force=force)


def _pins(scope: Scope, *, resolve: bool) -> dict[str, tuple[Address, ...]]:
    from leadapron.net.resolve import resolve as ask

    if not resolve:
        return {}
    pins, failures = ask(scope.names)
    for failure in failures:
        say(f"{failure.endpoint} has no address: {failure.reason}")
    return pins


def _address(text: str) -> Address:
    from ipaddress import ip_address

    from leadapron.errors import InputError

    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        raise InputError(f"{text!r} is not an address; write it as 198.18.0.1 or 2001:db8::1") from None


def _json(view: Overview | Account, **more: object) -> str:
    import dataclasses
    import json

    return json.dumps(dataclasses.asdict(view) | more, indent=2, default=str, ensure_ascii=False)


def _sweep_here(scope: Scope) -> tuple[str | None, str]:
    """By which method an audit from here would sweep, and why; None, and why it would not begin."""
    from leadapron.errors import InputError
    from leadapron.pipeline_method import method_of

    try:
        return method_of(scope)
    except InputError as error:
        return None, str(error)


def _overview_lines(view: Overview, here: tuple[str | None, str]) -> list[str]:
    lines = [
        f"Scope {view.scope}, seen from {view.vantage}, calling as {view.calling_aet}",
        f"SHA-256 {view.sha256}",
        "",
        "Grants",
    ]
    for grant in view.grants:
        held = "in force" if grant.in_force else "NOT in force"
        party = f", partner {grant.party}" if grant.party else ""
        reference = f", reference {grant.reference}" if grant.reference else ""
        lines += [
            f"  {grant.id}: {grant.owner}{party}, basis {grant.basis}{reference}",
            f"    {held}, {grant.valid_from} to {grant.valid_until} (UTC), as far as {grant.depth}",
            f"    {_count(grant.addresses)}" + (f", names: {', '.join(grant.names)}" if grant.names else ""),
        ]
        if grant.snapshot:
            lines += [f"    networks of {', '.join(grant.taken)} by {grant.snapshot}"]
    lines += [""] + (["Zones"] if view.zones else [])
    for zone in view.zones:
        rules = [f"as far as {zone.max_depth}"] if zone.max_depth else []
        rules += [f"{zone.window} ({'open' if zone.open else 'shut'} now)"] if zone.window else []
        rules += [f"{zone.gap_seconds:g} s between connections"] if zone.gap_seconds else []
        lines += [f"  {zone.name}: {_count(zone.addresses)}; {', '.join(rules) or 'no limits'}"]
    lines += [""] if view.zones else []
    return lines + _total_lines(view, here)


def _total_lines(view: Overview, here: tuple[str | None, str]) -> list[str]:
    lines = [
        f"Granted:       {_count(view.granted)}",
        f"Swept:         {_count(view.swept)}",
        f"Permitted now: {_count(view.permitted_now)}",
        f"Excluded:      {_count(view.excluded)}",
        *_door_lines(view),
        f"Connections:   at most {view.connections:,} in one sweep",
        *_sweep_lines(view.sweep, *here),
        *(_survey_lines(view.survey) if view.survey else []),
    ]
    if view.special:
        lines += ["", "Special-purpose blocks left out, as no grant names them by themselves"]
        lines += [f"  {block}" for block in view.special]
    if view.notes:
        lines += ["", "Notes"]
        lines += [f"  {note}" for note in view.notes]
    return lines


def _sweep_lines(sweep: SweepTerms, method: str | None, because: str) -> list[str]:
    """What differs from one connection after the other."""
    first, last = sweep.source_ports
    bits = f" and {sweep.bits_per_second:,.0f} bits" if sweep.bits_per_second else ""
    origin = f"{sweep.source_address} ports" if sweep.source_address else "ports"
    packets = f"{sweep.packets_per_second:,.0f}{bits} a second at most, {sweep.probes} to one address and port"
    lines = [
        f"by {_METHODS[sweep.method]}",
        f"from here: by {_METHODS[method]}, since {because}" if method else f"from here: not at all: {because}",
        f"SYN packets: {packets}",
        f"from {origin} {first}-{last}, answers are waited for {sweep.cooldown_seconds:g} s",
        f"connections: {sweep.processes} process{'' if sweep.processes == 1 else 'es'}",
    ]
    if sweep.method == "connect":
        del lines[1:4]
    if sweep.method == "syn":
        del lines[4:]
        if method:
            del lines[1]
    return [f"{'Sweep:' if not number else '':15}{line}" for number, line in enumerate(lines)]


def _survey_lines(survey: SurveyLine) -> list[str]:
    page = f"page:    {survey.page}" + (f", shown at {survey.url}" if survey.url else "")
    many = "1 exclusion" if survey.excluded == 1 else f"{survey.excluded:,} exclusions"
    kept = f"{many} in {survey.exclusions}" if survey.exclusions else "no file of exclusions"
    return [f"Survey:        opt out: {survey.opt_out}", f"{'':15}{page}", f"{'':15}{kept}"]


def _account_lines(answer: Account, gate: Gate) -> list[str]:
    where = f"{answer.address} port {answer.port}"
    if not answer.permitted:
        lines = [f"{where} is not touched: {answer.explanation} ({answer.reason})"]
    else:
        lines = [f"{where} is permitted as far as {answer.depth}, until {answer.expires} (UTC)"]
        if answer.zone:
            lines += [f"  zone {answer.zone}, {answer.gap_seconds:g} s between connections"]
    lines += [f"  decided by {answer.decided_by}"] if answer.decided_by else []
    if answer.reason == "no_grant" and any(name not in gate.pins for name in gate.scope.names):
        lines += ["  the scope has names that were not resolved here: --resolve looks them up"]
    ports = ", ".join(map(str, gate.scope.ports.all))
    return [*lines, f"  ports of the scope: {ports}"]


def _door_lines(view: Overview) -> list[str]:
    """What is looked for, and at which ports."""
    width = max(map(len, view.doors))
    lines = [f"{title:{width}} {', '.join(map(str, ports))}" for title, ports in view.doors.items()]
    lines += [f"{len(view.ports)} of 65,535 ports"]
    if view.not_looked_for:
        lines += [f"not looked for: {', '.join(view.not_looked_for)}"]
    return [f"{'Ports:' if not number else '':15}{line}" for number, line in enumerate(lines)]


def _count(addresses: Sum) -> str:
    parts = [f"{addresses.ipv4:,} IPv4"] if addresses.ipv4 or not addresses.ipv6 else []
    parts += [f"{addresses.ipv6:,} IPv6"] if addresses.ipv6 else []
    return f"{' and '.join(parts)} address{'' if addresses.ipv4 + addresses.ipv6 == 1 else 'es'}"
