"""The readings of a scope, asked for many IPv4 addresses at once. Imported with the first batch: numpy takes its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from leadapron.scope.decision import REASONS, Denied
from leadapron.scope.layer import Layer, Moment
from leadapron.scope.lookup import Addresses, Lookup4

Ports = npt.NDArray[np.uint16]
Codes = npt.NDArray[np.uint8]

_BLOCK = 1 << 15
"""Addresses that are looked up at once, so that what is made of them stays in the processor's cache."""

_CODES = {reason: code for code, reason in enumerate(REASONS)}


def depths(moments: Sequence[tuple[Layer, Moment]], addresses: Addresses) -> Codes:
    """The least of all; 0: denied."""
    (layer, moment), *others = moments
    least = layer.batches().depths(addresses, moment)
    for each, its_moment in others:
        np.minimum(least, each.batches().depths(addresses, its_moment), out=least)
    return least


def permits(moments: Sequence[tuple[Layer, Moment]], addresses: Addresses, ports: Ports) -> npt.NDArray[np.bool_]:
    """Where all permit."""
    (layer, moment), *others = moments
    denied = layer.batches().reasons(addresses, ports, moment)
    for each, its_moment in others:
        denied |= each.batches().reasons(addresses, ports, its_moment)
    return np.equal(denied, 0)


def denials(moments: Sequence[tuple[Layer, Moment]], addresses: Addresses, ports: Ports) -> Codes:
    """By their place in `REASONS`; what only a later reading denies is narrowed."""
    (layer, moment), *others = moments
    denied = layer.batches().reasons(addresses, ports, moment)
    for each, its_moment in others:
        is_narrowed = (denied == 0) & (each.batches().reasons(addresses, ports, its_moment) != 0)
        np.copyto(denied, np.uint8(_CODES[Denied.NARROWED]), where=is_narrowed)
    return denied


class Batches:
    """What `Layer.deciding` and a moment say, for whole arrays."""

    def __init__(self, layer: Layer) -> None:
        table = layer.policy.tables[4]
        self._rules = Lookup4(table.starts, table.rules, len(layer.policy.rules))
        self._shut = np.full(1 << 16, _CODES[Denied.PORT], dtype=np.uint8)
        self._shut[list(layer.ports)] = 0
        """by port: what is said of it where its address is open"""
        spots = sorted((value << 16 | port, port) for version, value, port in layer.spots if version == 4)
        self._spots = np.array([spot for spot, _ in spots], dtype=np.uint64)
        deciding = [layer.deciding(4, spot >> 16, port)[0] for spot, port in spots]
        self._spot_rules = np.array(deciding, dtype=np.intp)
        self._has_spots = np.zeros(1 << 16, dtype=np.bool_)
        self._has_spots[[port for _, port in spots]] = True
        self._moment: tuple[Moment, Codes, Codes] | None = None

    def reasons(self, addresses: Addresses, ports: Ports, moment: Moment) -> Codes:
        """Of each address and its port, by their place in `REASONS`: 0 where it may be asked. Raises TypeError for ports of
        another type."""
        if ports.dtype != np.uint16:
            raise TypeError(f"ports are uint16, not {ports.dtype}")
        codes, _ = self._arrays(moment)

        def look(part: slice) -> Codes:
            found = codes.take(self._rules.at(addresses[part]), mode="wrap")
            shut = self._shut.take(ports[part], mode="wrap")
            shut *= found == 0  # a masked copy would branch at each
            found |= shut
            if len(self._spots):
                self._correct(found, addresses[part], ports[part], codes)
            return found

        return _by_blocks(look, len(addresses))

    def depths(self, addresses: Addresses, moment: Moment) -> Codes:
        """0: denied."""
        _, depths = self._arrays(moment)
        return _by_blocks(lambda part: depths.take(self._rules.at(addresses[part]), mode="wrap"), len(addresses))

    def _correct(self, found: Codes, addresses: Addresses, ports: Ports, codes: Codes) -> None:
        """On spots. Where address and port are open without one, none has a say."""
        where = np.flatnonzero((found != 0) & self._has_spots.take(ports, mode="wrap"))
        asked = addresses[where].astype(np.uint64) << np.uint64(16) | ports[where]
        places = np.minimum(np.searchsorted(self._spots, asked), len(self._spots) - 1)
        is_spot = self._spots[places] == asked
        found[where[is_spot]] = codes[self._spot_rules[places[is_spot]]]

    def _arrays(self, moment: Moment) -> tuple[Codes, Codes]:
        """Reasons and depths by rule. Kept, since most batches are asked in one moment."""
        known = self._moment
        if known is None or known[0] is not moment:
            reasons = np.array([_CODES[reason] for reason in moment.reasons], dtype=np.uint8)
            self._moment = known = (moment, reasons, np.array(moment.depths, dtype=np.uint8))
        return known[1:]


def _by_blocks(look: Callable[[slice], Codes], length: int) -> Codes:
    if length <= _BLOCK:
        return look(slice(length))
    return np.concatenate([look(slice(first, first + _BLOCK)) for first in range(0, length, _BLOCK)])
