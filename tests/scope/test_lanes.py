"""Zones that overlap share a lane, however far the chain of overlaps goes."""

from __future__ import annotations

from scope_samples import zone

from leadapron.scope.lanes import lanes


def test_zones_that_overlap_share_a_lane() -> None:
    zones = [
        zone("10.0.0.64/28", "2001:db8::/64", name="inner", gap_seconds=1.0),
        zone("10.0.0.0/24", name="outer", gap_seconds=2.0),
        zone("10.0.1.0/24", "2001:db8::5/128", name="linked", gap_seconds=1.0),
        zone("10.0.2.0/24", name="alone", gap_seconds=1.0),
        zone("10.0.0.0/16", name="without a gap"),
    ]

    found = lanes(zones)

    assert set(found) == {"inner", "outer", "linked", "alone"}
    assert len({found[name] for name in ("inner", "outer", "linked")}) == 1
    assert found["alone"] == "alone"
    assert found[found["inner"]] == found["inner"]


def test_neighbours_of_one_network_overlap_it_and_not_each_other() -> None:
    zones = [zone("10.0.0.0/25", name="low", gap_seconds=1.0), zone("10.0.0.128/25", name="high", gap_seconds=1.0)]
    assert lanes(zones) == {"low": "low", "high": "high"}

    around = zone("10.0.0.0/24", name="around", gap_seconds=1.0)
    assert len(set(lanes([*zones, around]).values())) == 1
