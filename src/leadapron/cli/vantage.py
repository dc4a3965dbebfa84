"""`leadapron vantage check`."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING

import typer

from leadapron.cli.options import JsonOption, ScopeArgument
from leadapron.cli.output import while_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadapron.model import Reason
    from leadapron.scope.grant import Scope
    from leadapron.scope.our_listener import OurListener

EXIT_SHUT = 3

vantage_app = typer.Typer(no_args_is_help=True)

_SAID = {
    "refused": "refused: a firewall on the way, or no listener there",
    "timeout": "silent: a firewall on the way, or no machine there",
    "unreachable": "unreachable: no route leads there",
    "reset": "hung up without a proof: a listener with another token, or a middlebox",
    "protocol": "something else answered: a middlebox, or another server",
    "empty": "its name has no address",
    "out_of_scope": "not permitted by the gate",
}


@vantage_app.callback()
def _group() -> None:
    """Check from where we look."""


@vantage_app.command("check", short_help="Check that our way out works.")
def check_command(
    scope: ScopeArgument,
    json: JsonOption = False,
) -> None:
    """Ask the listener of the scope for its proof, on each of its ports. No target is touched."""
    from leadapron.errors import InputError
    from leadapron.scope.grant import load_scope

    loaded = load_scope(scope)
    if loaded.listener is None:
        raise InputError(
            f"{scope}: [vantage] names no listener; run `leadapron listen` elsewhere, and add `listener` and `token_file`"
        )
    found = _ask(loaded, loaded.listener)
    with while_read():
        typer.echo(_json(loaded, found) if json else "\n".join(_lines(loaded, loaded.listener, found)))
    raise typer.Exit(EXIT_SHUT if any(found.values()) else 0)


def _ask(scope: Scope, listener: OurListener) -> dict[int, Reason | None]:
    """Why there was no proof, by port; None where there was."""
    from leadapron.net.resolve import resolve
    from leadapron.net.way_out import failure
    from leadapron.scope.gate import Gate
    from leadapron.scope.grant import is_literal
    from leadapron.scope.hook import arm
    from leadapron.scope.our_listener import read_token
    from leadapron.scope.policy import hosts_of

    token = read_token(listener.token_file)
    pins, _ = resolve([] if is_literal(listener.host) else [listener.host])
    arm(Gate(scope, pins=pins))
    return {port: failure(hosts_of(listener.host, pins), port, token) for port in listener.ports}


def _json(scope: Scope, found: Mapping[int, Reason | None]) -> str:
    answer = {
        "scope": scope.id,
        "vantage": scope.vantage.name,
        "open": not any(found.values()),
        "ports": {str(port): reason.value if reason else "proven" for port, reason in found.items()},
        "ports_not_checked": _not_checked(scope, found),
    }
    return json_module.dumps(answer, indent=2, ensure_ascii=False)


def _lines(scope: Scope, listener: OurListener, found: Mapping[int, Reason | None]) -> list[str]:
    lines = [f"From {scope.vantage.name} to the listener at {listener.host}"]
    lines += [
        f"  port {port}: {_SAID[reason.value] if reason else 'reached, proven'}" for port, reason in found.items()
    ]
    if rest := _not_checked(scope, found):
        lines += [f"Not checked: whether we get out on port {', '.join(map(str, rest))}; see `listener_ports`"]
    return lines


def _not_checked(scope: Scope, found: Mapping[int, object]) -> list[int]:
    return [port for port in scope.ports.all if port not in found]
