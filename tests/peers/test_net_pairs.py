"""The refusal that stands before every raw packet of the tests."""

from collections.abc import Iterator

import pytest
from net_pairs import NotClosedError, Pair, check_closed, must, pair
from real_servers import namespace, require

pytestmark = [pytest.mark.peer]


@pytest.fixture
def both() -> Iterator[Pair]:
    with pair() as ours:
        yield ours


def test_a_pair_is_closed(both: Pair) -> None:
    check_closed(both.sweeper, both.answerer)
    assert both.sweeping(lambda: "done") == "done"


@pytest.mark.parametrize("kind", ["bridge", "ifb"])
def test_an_interface_of_another_kind_is_refused(both: Pair, kind: str) -> None:
    if both.sweeper.run("ip", "link", "add", "other", "type", kind).returncode:
        pytest.skip(f"this kernel has no {kind}")
    with pytest.raises(NotClosedError, match=f"other, which is {kind}"):
        check_closed(both.sweeper, both.answerer)


def test_a_cable_to_a_namespace_that_is_not_among_them_is_refused_and_nothing_is_done(both: Pair) -> None:
    done: list[bool] = []
    with namespace() as third:
        must(third, "ip", "link", "add", "third", "type", "veth", "peer", "name", "more", "netns", both.sweeper.name)
        with pytest.raises(NotClosedError, match="more, whose other end is elsewhere"):
            both.sweeping(lambda: done.append(True))
    assert done == []


def test_one_end_alone_is_refused(both: Pair) -> None:
    with pytest.raises(NotClosedError, match="whose other end is elsewhere"):
        check_closed(both.sweeper)


def test_a_namespace_without_a_cable_is_closed() -> None:
    require("ip")
    with namespace() as alone:
        check_closed(alone)


def test_what_the_work_raises_comes_through(both: Pair) -> None:
    def work() -> None:
        raise LookupError("of the work")

    with pytest.raises(LookupError, match="of the work"):
        both.sweeping(work)
