"""What comes back: packets of anybody, thousands at once, to answers that bear our cookie.

Bytes that are no answer are left out; none raises. Checksums of TCP are not looked at: where they are offloaded (veth, most
cards) a packet is seen before its checksum is made, and a cookie is the stronger check.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadapron.net.syn.cookie import CookieJar, network_order
from leadapron.net.syn.piece import Addresses, Ports

UNREACHABLE, REFUSED, ACCEPTED = 4, 5, 6
"""Kinds of answers, in the order in which a later one outweighs; see `flight`."""

_HEADS = 40
"""The headers of IP and TCP without options."""
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_PORT_UNREACHABLE, _FRAGMENTATION_NEEDED = 3, 4
_IS_LITTLE = sys.byteorder == "little"
_OFFSET = np.frombuffer(b"\x1f\xff", dtype=np.uint16)[0]
"""Of a fragment, as it stands in a packet."""
_TO_ICMP, _TO_QUOTED = np.arange(8), np.arange(20)

Frames = npt.NDArray[np.uint8]
"""n packets from their IP header on, one a row; what lies behind the end of a packet is anything."""
Lengths = npt.NDArray[np.uint32]
"""How much of each row there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Columns of n answers. All numbers in host order."""

    addresses: Addresses
    """that were asked; of an ICMP message, the destination that it quotes"""
    ports: Ports
    own_addresses: Addresses
    own_ports: Ports
    sequences: npt.NDArray[np.uint32]
    """the number that is acknowledged less one, or quoted"""
    kinds: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.kinds)

    def only(self, which: npt.NDArray[np.bool_]) -> Answers:
        return self if which.all() else self.at(np.flatnonzero(which))

    def at(self, which: npt.NDArray[np.intp]) -> Answers:
        return Answers(
            addresses=self.addresses[which],
            ports=self.ports[which],
            own_addresses=self.own_addresses[which],
            own_ports=self.own_ports[which],
            sequences=self.sequences[which],
            kinds=self.kinds[which],
        )


def parse(frames: Frames, lengths: Lengths) -> Answers:
    """The answers among the packets, those of TCP first. `frames` has `filter.SNAP_LENGTH` columns and may be any view."""
    heads = np.array(frames[:, :_HEADS], order="C")
    tcp, icmp = heads[:, 9] == 6, heads[:, 9] == 1
    usable = _is_whole(heads, lengths)
    if not icmp.any():
        return _segments(heads, frames, usable & tcp)
    segments, messages = _segments(heads, frames, usable & tcp), _messages(frames, lengths, usable & icmp)
    return Answers(
        **{
            name: np.concatenate([getattr(segments, name), getattr(messages, name)])
            for name in Answers.__dataclass_fields__
        }
    )


def genuine(answers: Answers, jar: CookieJar) -> npt.NDArray[np.bool_]:
    """Which of them answer, at the right port, a packet that bore our cookie."""
    cookies = jar.of(answers.addresses, answers.ports)
    return np.asarray((network_order(cookies.sequences) == answers.sequences) & (cookies.ports == answers.own_ports))


def _is_whole(heads: Frames, lengths: Lengths) -> npt.NDArray[np.bool_]:
    """Of version 4, no later fragment, and there as far as 20 bytes behind a header that is no shorter than it can be."""
    halves = heads.view(np.uint16)
    total, is_first = halves[:, 1].byteswap() if _IS_LITTLE else halves[:, 1], (halves[:, 3] & _OFFSET) == 0
    if (heads[:, 0] == 0x45).all():
        return np.asarray(is_first & (lengths >= _HEADS) & (total >= _HEADS))
    header = _header_length(heads)
    needed = header + 20
    is_sound = (heads[:, 0] >> 4 == 4) & (header >= 20)
    return np.asarray(is_first & is_sound & (lengths >= needed) & (total >= needed))


def _header_length(headers: Frames) -> npt.NDArray[np.uint16]:
    return np.asarray((headers[:, 0] & 0xF).astype(np.uint16) << 2)


def _segments(heads: Frames, frames: Frames, which: npt.NDArray[np.bool_]) -> Answers:
    """Of TCP. `heads` is ours to change."""
    odd = np.flatnonzero(which & (heads[:, 0] != 0x45))
    if len(odd):  # options of IP stand between
        heads[odd, 20:] = _gather(frames, odd, _header_length(heads[odd]), _TO_QUOTED)
    flags = heads[:, 33] & (_FIN | _SYN | _RST | _ACK)
    accepted = flags == _SYN | _ACK
    which = which & (accepted | (flags == _RST | _ACK))
    if not which.all():
        heads, accepted = heads[which], accepted[which]
    words, halves = heads.view(">u4"), heads.view(">u2")
    return Answers(
        addresses=words[:, 3].astype(np.uint32),
        ports=halves[:, 10].astype(np.uint16),
        own_addresses=words[:, 4].astype(np.uint32),
        own_ports=halves[:, 11].astype(np.uint16),
        sequences=words[:, 7].astype(np.uint32) - np.uint32(1),
        kinds=np.where(accepted, np.uint8(ACCEPTED), np.uint8(REFUSED)),
    )


def _messages(frames: Frames, lengths: Lengths, which: npt.NDArray[np.bool_]) -> Answers:
    """Of ICMP: destination unreachable (RFC 792), with the header and 8 bytes of ours. "Port unreachable" is how a firewall
    refuses, and how Linux understands it."""
    rows = np.flatnonzero(which)
    outer = _header_length(frames[rows])
    icmp = _gather(frames, rows, outer, _TO_ICMP)
    quoted = _gather(frames, rows, outer + 8, _TO_QUOTED)
    inner = _header_length(quoted)
    segment = _gather(frames, rows, outer + 8 + inner, _TO_ICMP)
    fits = (
        (icmp[:, 0] == 3)
        & (icmp[:, 1] != _FRAGMENTATION_NEEDED)
        & (quoted[:, 0] >> 4 == 4)
        & (quoted[:, 9] == 6)
        & (inner >= 20)
        & (lengths[rows] >= outer + 8 + inner + 8)
    )
    icmp, quoted, segment = icmp[fits], quoted[fits], segment[fits]
    refused = icmp[:, 1] == _PORT_UNREACHABLE
    return Answers(
        addresses=quoted.view(">u4")[:, 4].astype(np.uint32),
        ports=segment.view(">u2")[:, 1].astype(np.uint16),
        own_addresses=quoted.view(">u4")[:, 3].astype(np.uint32),
        own_ports=segment.view(">u2")[:, 0].astype(np.uint16),
        sequences=segment.view(">u4")[:, 1].astype(np.uint32),
        kinds=np.where(refused, np.uint8(REFUSED), np.uint8(UNREACHABLE)),
    )


def _gather(
    frames: Frames, rows: npt.NDArray[np.intp], offsets: npt.NDArray[np.uint16], span: npt.NDArray[np.intp]
) -> Frames:
    """From each row the bytes that begin at its offset. Offsets of IP headers never lead out of a row."""
    return np.ascontiguousarray(frames[rows[:, None], offsets[:, None] + span])
