from __future__ import annotations

from leadapron.net.feed import Held, Inbox
from leadapron.net.target import Target


def targets(count: int) -> list[Target]:
    return [Target(number, 4, 104) for number in range(count)]


def test_an_inbox_has_nothing_now_and_something_later() -> None:
    inbox = Inbox()
    assert (list(inbox), inbox.is_open) == ([], True)
    for target in targets(2):
        inbox.put(target)
    assert len(inbox) == 2
    assert (list(inbox), inbox.is_open, len(inbox)) == (targets(2), True, 0)
    inbox.close()
    assert not inbox.is_open


def test_what_is_held_waits_and_is_not_over() -> None:
    is_held = [False]
    held = Held(iter(targets(3)), lambda: is_held[0])
    assert next(held) == targets(1)[0]
    is_held[0] = True
    assert (list(held), held.is_open) == ([], True)
    is_held[0] = False
    assert (list(held), held.is_open) == (targets(3)[1:], False)


def test_what_holds_an_inbox_is_open_for_as_long_as_that_is() -> None:
    inbox = Inbox()
    held = Held(inbox, lambda: False)
    assert (list(held), held.is_open) == ([], True)
    inbox.put(targets(1)[0])
    assert (list(held), held.is_open) == (targets(1), True)
    inbox.close()
    assert (list(held), held.is_open) == ([], False)
