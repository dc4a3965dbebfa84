"""External data representation (RFC 4506), bounded: no length that a peer sends is believed before it is checked."""

from __future__ import annotations

import struct

from leadapron.errors import WireError

_UINT = struct.Struct(">I")
_HYPER = struct.Struct(">Q")

TRUE = _UINT.pack(1)
FALSE = _UINT.pack(0)


def uint(value: int) -> bytes:
    """Section 4.2."""
    return _UINT.pack(value)


def hyper(value: int) -> bytes:
    """Section 4.5."""
    return _HYPER.pack(value)


def opaque(data: bytes) -> bytes:
    """Of variable length (section 4.10), and strings (section 4.11)."""
    return _UINT.pack(len(data)) + data + bytes(-len(data) % 4)


class Reader:
    """Reads from one whole message. Every method raises WireError, and nothing else, where the bytes are not that."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._at

    def rest(self) -> bytes:
        """All that is not read yet."""
        return self.fixed(self.left)

    def uint(self) -> int:
        return int(_UINT.unpack(self._take(4))[0])

    def hyper(self) -> int:
        return int(_HYPER.unpack(self._take(8))[0])

    def flag(self) -> bool:
        """Section 4.4."""
        value = self.uint()
        if value > 1:
            raise WireError("a boolean that is neither true nor false")
        return value == 1

    def fixed(self, length: int) -> bytes:
        """Opaque data of a fixed length (section 4.9)."""
        data = self._take(length)
        self._take(-length % 4)
        return data

    def opaque(self, most: int) -> bytes:
        """Opaque data of a variable length, at most `most` bytes."""
        length = self.uint()
        if length > most:
            raise WireError("opaque data longer than it may be", limit=True)
        return self.fixed(length)

    def uints(self, most: int) -> tuple[int, ...]:
        """An array of unsigned integers (section 4.13), at most `most` of them."""
        count = self.uint()
        if count > most:
            raise WireError("an array longer than it may be", limit=True)
        return struct.unpack(f">{count}I", self._take(4 * count))

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise WireError("a message ends in the middle of an item")
        data = self._data[self._at : end]
        self._at = end
        return data
