"""`leadapron listen`: the other end of our way out, on a machine elsewhere."""

from __future__ import annotations

import json as json_module
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import JsonOption
from leadapron.cli.output import say, while_read

if TYPE_CHECKING:
    from leadapron.net.listener import Listener, Tally

PORT = 11112


def listen_command(
    address: Annotated[str, typer.Option("--address", help="The address to listen on.")] = "0.0.0.0",  # noqa: S104 - it is to be reached from elsewhere
    ports: Annotated[
        list[int] | None,
        typer.Option("--port", min=1, max=65_535, help=f"A TCP port, {PORT} by default; repeatable."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="The shared secret; others on this machine may see it.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="The file that holds it.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=10_000_000, help="End after this many connections.")] = (
        100_000
    ),
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=2_592_000, help="End after this time.")] = 86_400,
    json: JsonOption = False,
) -> None:
    """Answer the challenge of a scanner that holds the same token, and nothing else. Ends by itself."""
    import asyncio
    from ipaddress import ip_address

    from leadapron.errors import InputError
    from leadapron.net.listener import Listener

    secret = _secret(token, token_file)
    try:
        place = str(ip_address(address.strip("[]")))
    except ValueError:
        raise InputError(f"{address!r} is not an address; write one of this machine, 0.0.0.0 or ::") from None
    listener = Listener(secret, count=count, seconds=seconds)
    tally = asyncio.run(_listen(listener, place, list(dict.fromkeys(ports or [PORT]))))
    with while_read():
        typer.echo(_json(tally) if json else _line(tally))


def _secret(token: str | None, file: Path | None) -> bytes:
    """Given, or made now and shown once."""
    import secrets

    from leadapron.errors import InputError
    from leadapron.scope.our_listener import check_token, read_token

    if token is not None and file is not None:
        raise InputError("--token and --token-file say the same thing; give one of them")
    if file is not None:
        return read_token(file)
    if token is not None:
        return check_token(token.encode(), "--token")
    made = secrets.token_urlsafe(32)
    say(f"Token, for the token_file of the scope: {made}")
    return made.encode()


async def _listen(listener: Listener, address: str, ports: list[int]) -> Tally:
    """Ctrl-C and SIGTERM end it too, and are no error."""
    import asyncio

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, listener.end)
    return await listener.listen(
        address, ports, lambda ready: say(f"Listening on {address}, port {', '.join(map(str, ready))}")
    )


def _json(tally: Tally) -> str:
    import dataclasses

    return json_module.dumps(dataclasses.asdict(tally))


def _line(tally: Tally) -> str:
    return (
        f"Connections: {tally.connections:,}; of them proven {tally.proven:,}, refused {tally.refused:,}, "
        f"silent {tally.silent:,}"
    )
