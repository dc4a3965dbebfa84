"""Seeds of the properties that any bytes must keep: what real servers said, and what was hostile once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hypothesis import example

Test = TypeVar("Test", bound=Callable[..., Any])


def seeds(cases: Iterable[tuple[Any, ...]]) -> Callable[[Test], Test]:
    """Each case is tried besides those that Hypothesis draws: the arguments of the test that `@given` fills."""

    def seeded(test: Test) -> Test:
        for case in cases:
            test = example(*case)(test)
        return test

    return seeded
