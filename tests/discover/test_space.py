import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.discover.space import MAX_SIZE, TargetSpace

KEY = b"a key of this run"
V6 = 0x20010DB8 << 96
FROZEN = [
    (4, 858, 11112),
    (4, 524, 11112),
    (4, 314, 104),
    (4, 226, 104),
    (4, 949, 104),
    (6, V6 + 9, 11112),
]


def walk(space: TargetSpace, start: int = 0, count: int | None = None) -> list[tuple[int, int, int]]:
    """(version, address, port) of a batch, without its order within."""
    batch = space.batch(start, len(space) if count is None else count)
    targets4 = zip(batch.addresses4.tolist(), batch.ports4.tolist(), strict=True)
    return [(4, *target) for target in targets4] + [(6, *target) for target in batch.targets6]


def order(space: TargetSpace) -> list[tuple[int, int, int]]:
    return [walk(space, index, 1)[0] for index in range(len(space))]


intervals = st.lists(
    st.tuples(st.integers(0, 2**32 - 300), st.integers(0, 200)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=6,
)
ports = st.lists(st.integers(1, 65535), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(intervals, intervals, ports, st.binary(max_size=64))
def test_every_address_and_port_comes_exactly_once(
    low: list[tuple[int, int]], high: list[tuple[int, int]], chosen: list[int], key: bytes
) -> None:
    intervals6 = [(V6 + first, V6 + last) for first, last in high]
    expected = {(4, a, p) for first, last in low for a in range(first, last + 1) for p in chosen}
    expected |= {(6, a, p) for first, last in intervals6 for a in range(first, last + 1) for p in chosen}

    space = TargetSpace(low, intervals6, chosen, key)
    walked = walk(space)

    assert len(walked) == len(space) == len(expected)
    assert set(walked) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.data())
def test_any_index_can_be_entered(size: int, data: st.DataObject) -> None:
    space = TargetSpace([(0, size - 1)], [], [104], KEY)
    start = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(1, size))
    assert walk(space, start, count) == walk(space)[start : start + count]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2**32), st.integers(1, 65535))
def test_targets_of_huge_spaces_lie_inside_and_differ(addresses: int, port_count: int) -> None:
    space = TargetSpace([(0, addresses - 1)], [], range(1, port_count + 1), KEY)
    start = max(0, len(space) // 2 - 1000)
    walked = walk(space, start, 2000)
    assert len(set(walked)) == len(walked) == min(2000, len(space) - start)
    assert all(address < addresses and 1 <= port <= port_count for _, address, port in walked)


def test_the_order_depends_on_the_key_only() -> None:
    spaces = [TargetSpace([(0, 4095)], [], [104, 11112], key) for key in (b"1", b"1", b"2")]
    first, again, other = (walk(space) for space in spaces)
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


def test_the_order_is_the_same_on_every_machine_and_version() -> None:
    """A run that is resumed after an update goes on in the order that it began with."""
    space = TargetSpace([(0, 999)], [(V6, V6 + 9)], [104, 11112], b"frozen")
    assert walk(space, 0, 6) == FROZEN


@settings(max_examples=60, deadline=None)
@given(intervals, ports, st.lists(st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([1, 104, 65535])), max_size=20))
def test_a_target_is_led_back_to_its_index(
    low: list[tuple[int, int]], chosen: list[int], spots: list[tuple[int, int]]
) -> None:
    space = TargetSpace(low, [(V6, V6 + 9)], chosen, KEY, [(4, *spot) for spot in spots])
    four = [(index, *target[1:]) for index, target in enumerate(order(space)) if target[0] == 4]
    addresses = np.array([address for _, address, _ in four], dtype=np.uint32)
    targeted = np.array([port for *_, port in four], dtype=np.uint16)
    assert space.indices4(addresses, targeted).tolist() == [index for index, *_ in four]


@settings(max_examples=60, deadline=None)
@given(intervals, ports, st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 65535)), min_size=1, max_size=50))
def test_what_is_no_target_has_no_index(
    low: list[tuple[int, int]], chosen: list[int], others: list[tuple[int, int]]
) -> None:
    space = TargetSpace(low, [], chosen, KEY)
    found = space.indices4(
        np.array([address for address, _ in others], dtype=np.uint32),
        np.array([port for _, port in others], dtype=np.uint16),
    )
    inside = [port in chosen and any(first <= at <= last for first, last in low) for at, port in others]
    assert (found >= 0).tolist() == inside


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2**32), st.integers(1, 65535), st.data())
def test_targets_of_huge_spaces_are_led_back_too(addresses: int, port_count: int, data: st.DataObject) -> None:
    space = TargetSpace([(0, addresses - 1)], [], range(1, port_count + 1), KEY)
    start = data.draw(st.integers(0, len(space) - 1))
    batch = space.batch(start, 1000)
    assert space.indices4(batch.addresses4, batch.ports4).tolist() == list(range(start, start + len(batch)))


def test_pairs_in_columns_are_spots_by_another_name() -> None:
    pairs = [(7, 104), (300, 11112), (301, 11112), (7, 104), (5, 104)]
    columns = np.array([a for a, _ in pairs], dtype=np.uint32), np.array([p for _, p in pairs], dtype=np.uint16)
    in_columns = TargetSpace([(5, 5)], [], [104], KEY, pairs4=columns)
    as_spots = TargetSpace([(5, 5)], [], [104], KEY, [(4, *pair) for pair in pairs])
    assert walk(in_columns) == walk(as_spots)
    assert sorted(walk(in_columns)) == [(4, 5, 104), (4, 7, 104), (4, 300, 11112), (4, 301, 11112)]


@settings(max_examples=60, deadline=None)
@given(intervals, ports, st.binary(max_size=64))
def test_networks_are_visited_in_turn(low: list[tuple[int, int]], chosen: list[int], key: bytes) -> None:
    """Within a stretch, between two visits to a network lie visits to each of the others, one each."""
    space, index = TargetSpace(low, [], chosen, key), 0
    while index < len(space):
        end, networks = space.stretch(index)
        visited = (space.batch(index, end - index).addresses4 >> np.uint32(8)).tolist()
        for start in range(0, len(visited), networks):
            assert len(set(visited[start : start + networks])) == networks
            assert visited[start : start + networks] == visited[:networks]
        index = end


def test_stretches_are_as_many_as_sizes_of_networks() -> None:
    space = TargetSpace([(0, 256 * 9 - 1), (256 * 20, 256 * 20 + 99), (256 * 30 + 7, 256 * 31 - 1)], [], [104], KEY)
    assert [space.stretch(index) for index in (0, 1099, 1100, 2589, 2590)] == [
        (1100, 11),
        (1100, 11),
        (2590, 10),
        (2590, 10),
        (2653, 9),
    ]
    assert len(space) == 2653


def test_neighbours_in_time_are_strangers_in_space() -> None:
    networks = 64
    space = TargetSpace([(0, networks * 256 - 1)], [], [104, 4242, 11112], KEY)
    for start in (0, len(space) // 2, len(space) - 512):
        of_window = space.batch(start, 512).addresses4 >> np.uint32(8)
        busiest = np.bincount(of_window.astype(np.intp), minlength=networks).max()
        assert busiest == 512 // networks
        assert np.count_nonzero(np.diff(of_window.astype(np.int64)) == 0) == 0


def test_addresses_keep_no_order_at_all() -> None:
    positions = TargetSpace([(0, 99_999)], [], [1], KEY).batch(0, 100_000).addresses4.astype(np.float64)
    correlation = np.corrcoef(np.arange(len(positions)), positions)[0, 1]
    assert abs(correlation) < 0.02


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 100])
def test_shards_cover_the_space_without_overlap(shards: int) -> None:
    space = TargetSpace([(0, 30)], [], [104, 11112], KEY)
    parts = [space.shard(number, shards) for number in range(shards)]
    assert [index for part in parts for index in part] == list(range(len(space)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_that_is_not_there_is_refused() -> None:
    space = TargetSpace([(0, 30)], [], [104], KEY)
    for number, shards in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="no shard"):
            space.shard(number, shards)


def test_overlaps_and_repeated_ports_count_once() -> None:
    space = TargetSpace([(10, 20), (15, 30), (31, 31)], [], [104, 104], KEY)
    assert sorted(address for _, address, _ in walk(space)) == list(range(10, 32))


def test_the_edges_of_the_address_families() -> None:
    last4, last6 = 2**32 - 1, 2**128 - 1
    space = TargetSpace([(last4, last4), (0, 0)], [(last6, last6)], [1, 65535], KEY)
    assert set(walk(space)) == {
        (version, address, port) for version, address in ((4, 0), (4, last4), (6, last6)) for port in (1, 65535)
    }


@pytest.mark.parametrize(("low", "high", "chosen"), [([], [], [104]), ([(1, 2)], [], []), ([], [], [])])
def test_an_empty_space_has_no_targets(
    low: list[tuple[int, int]], high: list[tuple[int, int]], chosen: list[int]
) -> None:
    space = TargetSpace(low, high, chosen, KEY)
    assert len(space) == len(space.batch(0, 10)) == 0


@pytest.mark.parametrize("start", [-1, 5, 6, 10**9])
def test_outside_of_the_space_there_is_nothing(start: int) -> None:
    assert len(TargetSpace([(0, 4)], [], [104], KEY).batch(start, 3)) == 0


def test_all_of_ipv4_on_all_ports_is_allowed_and_no_more() -> None:
    everything = TargetSpace([(0, 2**32 - 1)], [], range(65536), KEY)
    assert len(everything) == MAX_SIZE
    assert len(everything.batch(MAX_SIZE - 5, 10)) == 5
    for too_much in ([(V6, V6)], [(0, 2**128 - 1)]):
        with pytest.raises(ValueError, match="more than"):
            TargetSpace([(0, 2**32 - 1)], too_much, range(65536), KEY)


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before"):
        TargetSpace([(5, 4)], [], [104], KEY)


@given(intervals, st.integers(0, 2))
def test_spots_are_targets_like_any_other(low: list[tuple[int, int]], start: int) -> None:
    spots = [(4, 2**32 - 1, 9000), (6, 7, 443), (4, 2**32 - 1, 443), (6, 7, 443)]
    space, plain = TargetSpace(low, [], [104], KEY, spots), TargetSpace(low, [], [104], KEY)
    assert len(space) == len(plain) + 3
    assert sorted(walk(space)) == sorted([*walk(plain), *set(spots)])
    assert len(walk(space, start, 2)) == min(2, len(space) - start)


def test_spots_may_be_all_there_is() -> None:
    space = TargetSpace([], [], [104], KEY, [(4, 5, 443)])
    assert walk(space) == [(4, 5, 443)]
