"""Counting C-FIND answers at wire speed: fragments joined, two or three tags read, nothing built or kept.

A value that a server sends becomes a number here, in the function that met it. UIDs become process-keyed 64-bit hashes;
raw ones are kept (bounded) only when asked for, because the next query needs them, and die with the job.

`Answers` eats the P-DATA-TF PDUs behind one C-FIND-RQ. The ordinary answer (a whole command PDV like the one before, a
whole implicit VR data set whose tail walks to its exact end) takes the short way; everything else takes the strict
walk of `wire.elements`. Both give the same numbers, which a test holds.
"""

from __future__ import annotations

import enum
import re
import struct
from array import array
from collections import deque
from dataclasses import dataclass, field

from leadapron.errors import WireError
from leadapron.protocols.dicom.wire import elements
from leadapron.protocols.dicom.wire.association import MAX_LENGTH
from leadapron.protocols.dicom.wire.dimse import MAX_COMMAND_LENGTH, Command, CommandField, is_pending
from leadapron.protocols.digests import Digests

_PDU = struct.Struct(">BxI").unpack_from
_PDU_OF_ONE = struct.Struct(">BxIIBB").unpack_from
"""the head of a P-DATA-TF together with that of its first value"""
_PDV = struct.Struct(">IBB").unpack_from
_ELEMENT = struct.Struct("<II").unpack_from

MAX_CLAIM = 1_000_000
"""Images, series or studies that one answer may claim; more is no claim but a fault (PS3.5: IS holds up to 2^31-1)."""
MAX_ANSWERS = 5_000_000
"""Answers to one query, whatever the budget: 24 bytes are kept for each."""
MAX_CLAIMS_HELD = 4096
"""Different numbers whose reading is remembered: small ones come again and again."""
MAX_ANSWER_LENGTH = 64 << 10
"""Bytes of one answer: we ask for five short keys, and some servers send a little more."""
MAX_KEPT = 4096
"""Raw UIDs kept for the next level: a uniform sample where there are more."""
LOOP_WINDOW = 4096
"""Answers after which we look whether the same few records come again and again."""

NOT_CLAIMED = -1

_UID = re.compile(rb"[0-9.]{1,64}")
"""What is kept of a peer is sent back to it: no wildcard, no list, nothing longer than PS3.5 section 9.1 allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Which tags matter at a query level (PS3.4 Annex C.6): its unique key and the numbers that an answer may claim."""

    name: str
    unique: int
    images: int
    series: int
    studies: int = 0


STUDY = Level(name="STUDY", unique=0x0020000D, images=0x00201208, series=0x00201206)
SERIES = Level(name="SERIES", unique=0x0020000E, images=0x00201209, series=0)
IMAGE = Level(name="IMAGE", unique=0x00080018, images=0, series=0)
PATIENT = Level(name="PATIENT", unique=0x00100020, images=0x00201204, series=0x00201202, studies=0x00201200)
WORKLIST = CENSUS = Level(name="", unique=0, images=0, series=0)
"""Nothing of an answer is read for the tally."""


class End(enum.StrEnum):
    """How the stream of answers ended."""

    FINAL = "final"
    """a final status came"""
    FOREIGN = "foreign"
    """a PDU that is no P-DATA-TF is next: an abort or a release"""


@dataclass(slots=True)
class Tally:
    """What was counted, of one query or of several. Numbers only, but for `kept`, which never leaves its job."""

    answers: int = 0
    without_unique: int = 0
    """answers that lack the level's unique key, which PS3.4 requires"""
    bad_claims: int = 0
    """claimed numbers that are negative, malformed or absurd: not counted"""
    looping: bool = False
    """the same few records came again and again"""
    hashes: array[int] = field(default_factory=lambda: array("q"))
    images: array[int] = field(default_factory=lambda: array("i"))
    series: array[int] = field(default_factory=lambda: array("i"))
    studies: array[int] = field(default_factory=lambda: array("i"))
    digests: Digests | None = field(default=None, repr=False)
    """where studies are to be compared with those of other servers: their hashes under the run's key"""
    own_roots: tuple[bytes, ...] = ()
    """UID roots of who audits"""
    own: array[int] = field(default_factory=lambda: array("b"))
    """whether a record is below them; empty where there are none"""
    kept: dict[int, bytes] = field(default_factory=dict, repr=False)
    ceiling: int = 1 << 63
    """hashes from here on are not kept any more"""


def _little(tag: int) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


class Answers:
    """The answers to one C-FIND-RQ. `receive` bytes until `end` is set; then `rest` holds what came behind."""

    def __init__(
        self,
        *,
        context_id: int,
        message_id: int,
        level: Level,
        explicit: bool = False,
        tally: Tally | None = None,
        keep: bool = False,
        max_length: int = MAX_LENGTH,
    ) -> None:
        self.end: End | None = None
        self.status = -1
        """the final status, once `end` is FINAL"""
        self.answers = 0
        """pending answers to this query"""
        self.tally = tally if tally is not None else Tally()
        self._context_id, self._message_id, self._level = context_id, message_id, level
        self._explicit, self._keep, self._max_length = explicit, keep, max_length
        self._unique_bytes = _little(level.unique)
        # tags as <II reads them: element in the high half, group in the low
        self._unique, self._images, self._series, self._studies = (
            (tag & 0xFFFF) << 16 | tag >> 16 for tag in (level.unique, level.images, level.series, level.studies)
        )
        self._claims: dict[bytes | None, int] = {None: NOT_CLAIMED}
        self._buffer = b""
        self._pending_command = b""
        self._pending_pdu = b""
        """the last pending command as a PDU of its own: mostly the next one is the same"""
        self._expects_data_set = False
        self._fragments: list[bytes] = []
        self._held = 0
        self._fragments_are_command = 0

    @property
    def rest(self) -> bytes:
        """Bytes behind the end of the stream."""
        return self._buffer

    def receive(self, data: bytes) -> None:
        """Count the answers that are whole. Raises WireError where the peer breaks the standard or a limit."""
        buffer = self._buffer + data if self._buffer else data
        position, end = 0, len(buffer)
        while end - position >= 6 and self.end is None:
            after = self._take_ordinary(buffer, position, end)
            if after == position:
                after = self._take_any(buffer, position, end)
                if after == position:
                    break
            position = after
        self._buffer = buffer[position:]

    def _take_ordinary(self, buffer: bytes, position: int, end: int) -> int:
        """Take PDUs of one value each for as long as they come; where to go on."""
        context_id, max_length, pending = self._context_id, self._max_length, self._pending_pdu
        fragments = self._fragments
        while end - position >= 12:
            if pending and buffer.startswith(pending, position) and not (self._expects_data_set or fragments):
                self._expects_data_set = True
                position += len(pending)
                continue
            kind, length, value_length, context, flags = _PDU_OF_ONE(buffer, position)
            stop: int = position + 6 + length
            if kind != 4 or stop > end or value_length != length - 4 or context != context_id:
                break
            if not 6 <= length <= max_length:
                break
            if flags == 2 and not fragments:
                self._data_set(buffer, position + 12, stop)
            elif flags == 0 and fragments and not self._fragments_are_command:
                fragments.append(buffer[position + 12 : stop])
                self._held += length
                if self._held > MAX_ANSWER_LENGTH:
                    raise WireError("a message is longer than its limit", limit=True)
            elif flags == 0 or fragments:
                self._fragment(buffer[position + 12 : stop], flags & 1, flags & 2)
            elif flags == 3:
                self._command(buffer, position + 12, stop)
                pending = self._pending_pdu = buffer[position:stop]
            else:
                break
            position = stop
            if self.end is not None:
                break
        return position

    def _take_any(self, buffer: bytes, position: int, end: int) -> int:
        """Take one PDU of any form, if it is whole; where to go on."""
        kind, length = _PDU(buffer, position)
        if kind != 4:
            self.end = End.FOREIGN
            return position
        if length > self._max_length:
            raise WireError("a PDU is longer than its limit", limit=True)
        stop: int = position + 6 + length
        if stop > end:
            return position
        self._take_pdu(buffer, position + 6, stop)
        return stop

    def _take_pdu(self, buffer: bytes, position: int, stop: int) -> None:
        if position == stop:
            raise WireError("a P-DATA-TF without a value")
        while position < stop:
            if stop - position < 6:
                raise WireError("presentation data value cut short")
            length, context, flags = _PDV(buffer, position)
            after = position + 4 + length
            if length < 2 or after > stop:
                raise WireError("presentation data value overruns its PDU")
            if context != self._context_id:
                raise WireError("an answer on a context that was not asked")
            if self.end is not None:
                raise WireError("data behind a final status")
            if flags & 2 and not self._fragments:
                if flags & 1:
                    self._command(buffer, position + 6, after)
                else:
                    self._data_set(buffer, position + 6, after)
            else:
                self._fragment(buffer[position + 6 : after], flags & 1, flags & 2)
            position = after

    def _fragment(self, data: bytes, is_command: int, is_last: int) -> None:
        fragments = self._fragments
        if not fragments:
            self._fragments_are_command = is_command
            self._held = 0
        elif is_command != self._fragments_are_command:
            raise WireError("command and data set fragments are mixed")
        fragments.append(data)
        self._held += len(data) + 1
        if self._held > (MAX_COMMAND_LENGTH if is_command else MAX_ANSWER_LENGTH):
            raise WireError("a message is longer than its limit", limit=True)
        if is_last:
            whole = b"".join(fragments)
            fragments.clear()
            if is_command:
                self._command(whole, 0, len(whole))
            else:
                self._data_set(whole, 0, len(whole))

    def _command(self, buffer: bytes, start: int, stop: int) -> None:
        if self._expects_data_set:
            raise WireError("a command where a data set is due")
        raw = buffer[start:stop]
        if raw == self._pending_command:
            self._expects_data_set = True
            return
        command = Command.decode(raw)
        if command.field != CommandField.C_FIND_RSP or command.message_id != self._message_id:
            raise WireError("a message that does not answer our query")
        assert command.status is not None
        if not is_pending(command.status):
            self.end, self.status = End.FINAL, command.status
        elif not command.has_data_set:
            raise WireError("a pending answer without an identifier")
        else:
            self._pending_command = raw
            self._expects_data_set = True

    def _data_set(self, buffer: bytes, start: int, stop: int) -> None:
        """One answer: count it, and read its unique key and claims."""
        if not self._expects_data_set:
            raise WireError("a data set without its command")
        if stop - start > MAX_ANSWER_LENGTH:
            raise WireError("an answer is longer than its limit", limit=True)
        self._expects_data_set = False
        tally = self.tally
        if tally.answers >= MAX_ANSWERS:
            raise WireError("too many answers", limit=True)
        self._read(buffer, start, stop)
        self.answers += 1  # what cannot be read is no answer
        tally.answers += 1
        if not self.answers % LOOP_WINDOW and self._level.unique:
            tally.looping |= len(set(tally.hashes[-LOOP_WINDOW:])) <= LOOP_WINDOW // 16

    def _read(self, buffer: bytes, start: int, stop: int) -> None:
        """What is made of one answer."""
        if not self._level.unique:
            deque(elements.walk(buffer, explicit=self._explicit, start=start, end=stop), maxlen=0)
        elif self._explicit or not self._quick(buffer, start, stop):
            self._strict(buffer, start, stop)

    def _quick(self, buffer: bytes, start: int, stop: int) -> bool:
        """From the unique key on, element by element; False unless that ends exactly at the end of the data set."""
        position = buffer.find(self._unique_bytes, start, stop)
        if position < 0:
            return False
        unique_tag, images_tag, series_tag = self._unique, self._images, self._series
        last = stop - 8
        unique = images = series = studies = None
        while position <= last:
            tag, length = _ELEMENT(buffer, position)
            position += 8
            after = position + length
            if after > stop:
                return False
            if tag == unique_tag:
                if unique is not None:
                    return False
                unique = buffer[position:after]
            elif tag == images_tag:
                images = buffer[position:after]
            elif tag == series_tag:
                series = buffer[position:after]
            elif tag == self._studies:
                studies = buffer[position:after]
            position = after
        if position != stop or unique is None:
            return False
        self._count(unique, images, series, studies)
        return True

    def _strict(self, buffer: bytes, start: int, stop: int) -> None:
        level = self._level
        found: dict[int, bytes] = {}
        for tag, first, last in elements.walk(buffer, explicit=self._explicit, start=start, end=stop):
            if tag in (level.unique, level.images, level.series, level.studies) and tag:
                found[tag] = buffer[first:last]
        self._count(found.get(level.unique), found.get(level.images), found.get(level.series), found.get(level.studies))

    def _count(self, unique: bytes | None, images: bytes | None, series: bytes | None, studies: bytes | None) -> None:
        tally, claims = self.tally, self._claims
        if not unique or not (uid := unique.rstrip(b"\0 ")):
            tally.without_unique += 1
            return
        key = hash(uid)
        tally.hashes.append(key)
        tally.images.append(claimed if (claimed := claims.get(images)) is not None else self._claim(images))
        if self._series:
            tally.series.append(claimed if (claimed := claims.get(series)) is not None else self._claim(series))
        if self._studies:
            tally.studies.append(claims[studies] if studies in claims else self._claim(studies))
        if tally.digests is not None:
            tally.digests.add(uid)
        if tally.own_roots:
            tally.own.append(uid.startswith(tally.own_roots))
        if self._keep and key < tally.ceiling and _UID.fullmatch(uid):
            self._keep_uid(key, uid)

    def _claim(self, raw: bytes | None) -> int:
        """A claimed number (IS, PS3.5 Table 6.2-1), range-checked; NOT_CLAIMED where there is none to believe."""
        if raw is None or not (text := raw.strip(b" \0")):
            return NOT_CLAIMED
        if len(text) <= 12 and text.isdigit() and (number := int(text)) <= MAX_CLAIM:
            if len(raw) <= 16 and len(self._claims) < MAX_CLAIMS_HELD:
                self._claims[raw] = number
            return number
        self.tally.bad_claims += 1
        return NOT_CLAIMED

    def _keep_uid(self, key: int, uid: bytes) -> None:
        """Keep raw UIDs with the smallest keyed hashes: a uniform sample, whatever the order of the answers."""
        tally = self.tally
        tally.kept[key] = uid
        if len(tally.kept) >= 2 * MAX_KEPT:
            smallest = sorted(tally.kept)[:MAX_KEPT]
            tally.kept = {key: tally.kept[key] for key in smallest}
            tally.ceiling = smallest[-1]
