"""Sources of targets that may have nothing right now. Who reads one asks again for as long as it `is_open`."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator

from leadapron.net.target import Target


class Feed(Iterator[Target]):
    """`next` raises StopIteration when there is nothing right now, and may give targets again later."""

    is_open: bool = True
    """whether more may come"""

    @abstractmethod
    def __next__(self) -> Target: ...


class Inbox(Feed):
    """What others put in, until they close it."""

    def __init__(self) -> None:
        self._targets: deque[Target] = deque()

    def __len__(self) -> int:
        return len(self._targets)

    def put(self, target: Target) -> None:
        self._targets.append(target)

    def close(self) -> None:
        self.is_open = False

    def __next__(self) -> Target:
        if not self._targets:
            raise StopIteration
        return self._targets.popleft()


class Held(Feed):
    """Another source, from which nothing is taken while `is_held`: who comes after it has enough to do."""

    def __init__(self, source: Iterator[Target], is_held: Callable[[], bool]) -> None:
        self._source, self._is_held = source, is_held

    def __next__(self) -> Target:
        if self.is_open and self._is_held():
            raise StopIteration
        try:
            return next(self._source)
        except StopIteration:
            self.is_open = isinstance(self._source, Feed) and self._source.is_open
            raise
