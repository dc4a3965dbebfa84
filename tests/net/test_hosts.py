from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

import pytest

from leadapron.model import Address
from leadapron.net.hosts import Hosts


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**arguments: object) -> None:
        asyncio.run(test(**arguments))

    return run


FOUR, SIX = ip_address("198.18.0.1"), ip_address("2001:db8::1")


@in_a_loop
async def test_one_after_the_other_in_the_order_of_asking() -> None:
    hosts, seen = Hosts(), list[int]()

    async def visit(number: int) -> None:
        async with hosts.held(FOUR):
            seen.append(number)
            await asyncio.sleep(0)
            seen.append(number)

    await asyncio.gather(*(visit(number) for number in range(4)))
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3]
    assert hosts.take(int(FOUR), 4)


@in_a_loop
async def test_hosts_do_not_wait_for_each_other() -> None:
    hosts = Hosts()
    async with hosts.held(FOUR), hosts.held(SIX), hosts.held(ip_address("198.18.0.2")):
        assert not hosts.take(int(FOUR), 4)
        assert not hosts.take(int(SIX), 6)


@pytest.mark.parametrize("address", [FOUR, SIX])
@in_a_loop
async def test_who_is_called_off_while_waiting_holds_up_nobody(address: Address) -> None:
    hosts, place = Hosts(), (int(address), address.version)
    assert hosts.take(*place)

    async def visit() -> str:
        async with hosts.held(address):
            return "visited"

    first, second = asyncio.create_task(visit()), asyncio.create_task(visit())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    hosts.release(*place)
    assert await second == "visited"
    assert first.cancelled()
    assert hosts.take(*place)


@in_a_loop
async def test_who_is_called_off_at_its_turn_passes_it_on() -> None:
    hosts, place = Hosts(), (int(FOUR), 4)
    assert hosts.take(*place)

    async def visit() -> str:
        async with hosts.held(FOUR):
            return "visited"

    first, second = asyncio.create_task(visit()), asyncio.create_task(visit())
    await asyncio.sleep(0)
    hosts.release(*place)
    first.cancel()
    assert await second == "visited"
    assert first.cancelled()
    assert hosts.take(*place)


def test_who_does_not_take_its_turn_any_more_is_passed_over() -> None:
    hosts, place, called = Hosts(), (int(FOUR), 4), list[str]()
    assert hosts.take(*place)
    for name, takes in (("gone", False), ("here", True), ("later", True)):
        hosts.wait(*place, lambda name=name, takes=takes: bool(called.append(name)) or takes)  # type: ignore[misc]
    hosts.release(*place)
    assert called == ["gone", "here"]
    hosts.release(*place)
    assert called == ["gone", "here", "later"]
    hosts.release(*place)
    assert hosts.take(*place)
