"""The pipe between a sweep and who ordered it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from leadapron.pipeline_wire import Reached, Wire
from sweep_orders import FIRST, PORT


@pytest.fixture
def ends() -> Iterator[tuple[Wire, Connection]]:
    """A wire, and the end that gives orders."""
    ours, theirs = Pipe()
    wire = Wire(theirs)
    with contextlib.closing(theirs):
        yield wire, ours
        ours.close()
        wire.close()


def until(condition: Callable[[], object]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to pass")


def test_a_piece_may_be_asked_once_for_each_go(ends: tuple[Wire, Connection]) -> None:
    wire, ours = ends
    assert not wire.may_ask(64)
    ours.send(64)
    until(lambda: wire.may_ask(64))
    assert not wire.may_ask(64)
    assert not wire.is_over.is_set()


def test_a_stop_and_the_end_of_the_other_side_end_it_and_nothing_more_may_be_asked(
    ends: tuple[Wire, Connection],
) -> None:
    wire, ours = ends
    ours.send(64)
    ours.send(None)
    until(wire.is_over.is_set)
    assert not wire.may_ask(64)


def test_when_the_other_side_is_gone_it_is_over_and_telling_holds_up_nothing(ends: tuple[Wire, Connection]) -> None:
    wire, ours = ends
    ours.close()
    until(wire.is_over.is_set)
    for _ in range(10_000):
        wire.tell(Reached([(FIRST, PORT)] * 100))
    wire.close()


def test_telling_does_not_wait_for_the_other_side(ends: tuple[Wire, Connection]) -> None:
    wire, ours = ends
    message = Reached([(FIRST, PORT)] * 1000)
    for _ in range(1000):
        wire.tell(message)
    assert [ours.recv() for _ in range(1000)] == [message] * 1000
