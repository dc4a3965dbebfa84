"""Canaries: words that stand nowhere else, one for each place where a peer may put a text; and the search for them in
everything that was written, in whatever form."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

MARK = "KANARIE"
"""What every word begins with. A word may stand in an AE title and in a code string."""
OF_OTHERS = ("SYNTHETIC", "CANARY", "BIRGIT", "2.25.10.", "2.25.11.", "2.25.12.")
"""What the shared code of the tests calls its made-up patients, servers, instances, studies and series."""
MAX_INFLATED = 1 << 24

_STREAM = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
"""How gzip (RFC 1952) and zlib (RFC 1950) begin."""


def _letter(letter: str) -> str:
    """A letter, large or small: as it is, or by its number, as URLs, JSON, HTML, C and dumps write it."""
    codes = [ord(letter), ord(letter.lower())]
    hexadecimal = "|".join(f"{code:02x}" for code in codes)
    decimal = "|".join(map(str, codes))
    return rf"(?:{letter}|(?:%|\\x|\\u00|&#x|0x)?(?:{hexadecimal});?|(?:&#)?(?:{decimal});?)"


_BETWEEN = r"(?:\\x00|\\u0000|\\0|[^a-z0-9]){0,3}"
_SPELLED = re.compile(_BETWEEN.join(map(_letter, MARK)).encode(), re.IGNORECASE)
"""Between the letters may be what UTF-16, UTF-32, lists and dumps put there."""


_PLAIN = re.compile(rb"KANARIE([0-9]{4})", re.IGNORECASE)
_DIGEST = re.compile(rb"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})(?![0-9A-Fa-f])")


def _in_base64(text: bytes) -> Iterator[bytes]:
    """What is the same of a text in Base64, whatever stands around it: at each of three places."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + text)
        last = (before + len(text)) // 3 * 4  # behind it, bits of what follows
        yield whole[(0, 2, 3)[before] : last]


_ENCODED = re.compile(
    b"|".join(map(re.escape, {each for case in (MARK, MARK.lower()) for each in _in_base64(case.encode())}))
)


def _word(number: int) -> str:
    """The two letters at its end leave the digits whole in Base64, wherever it begins."""
    return f"{MARK}{number:04}ZQ"


def is_in(content: bytes) -> bool:
    """Whether there is any canary in it, uncompressed."""
    known = any(each.encode() in content for each in OF_OTHERS)
    return known or _SPELLED.search(content) is not None or _ENCODED.search(content) is not None


class Canaries:
    """The words that were planted, each with the place that it names. `also`: what others planted, as they wrote it."""

    def __init__(self, *also: str) -> None:
        self._places: list[str] = []
        self._hashed: dict[bytes, str] = {}
        self._also = [each.encode() for each in also]

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(self._places)

    def word(self, place: str) -> str:
        """A new word for a place, thirteen letters and digits."""
        word = _word(len(self._places))
        self._places.append(place)
        for kind in ("md5", "sha1", "sha256"):
            digest = hashlib.new(kind, word.encode(), usedforsecurity=False).hexdigest()
            self._hashed[digest.encode()] = f"{place}, as {kind}"
        return word

    def found(self, content: bytes) -> set[str]:
        """The places of what is in there; `somewhere` for a form that does not say which."""
        seen: set[str] = set()
        for text in (content, *_inflated(content)):
            for hit in (*_SPELLED.finditer(text), *_ENCODED.finditer(text)):
                seen.add(self._place_at(text, hit))
            seen.update(f"{each.decode()}, of others" for each in self._also if each in text)
            seen.update(self._digests(text))
        return seen

    def _place_at(self, text: bytes, hit: re.Match[bytes]) -> str:
        """The digits behind the mark stand in the same form as it does; of most forms they can be read."""
        if plain := _PLAIN.match(text, hit.start()):
            return self._places[int(plain[1])]
        around = text[max(0, hit.start() - 4) : hit.end() + 24]
        for place, name in enumerate(self._places):
            word = _word(place).encode()
            forms = (word, word.decode().encode("utf-16-le"), word.hex().encode(), *_in_base64(word))
            if any(form.lower() in around.lower() for form in forms):
                return name
        return "somewhere"

    def _digests(self, text: bytes) -> Iterator[str]:
        """A hash without a key tells who has a list of names all that the name would."""
        for run in set(_DIGEST.findall(text)):
            if (name := self._hashed.get(run.lower())) is not None:
                yield name

    def leaks(self, written: Mapping[str, bytes]) -> list[str]:
        """Place and whereabouts of each canary in what was written."""
        return sorted(f"{place}: in {name}" for name, content in written.items() for place in self.found(content))


def _inflated(content: bytes) -> Iterator[bytes]:
    """What is in there compressed, from wherever it begins."""
    for begin in _STREAM.finditer(content):
        stream = zlib.decompressobj(wbits=47)
        try:
            plain = stream.decompress(content[begin.start() :], MAX_INFLATED)
        except zlib.error:
            continue
        if plain:
            yield plain


def files_below(folder: Path) -> dict[str, bytes]:
    """Every byte of every file, by its path; and the paths themselves."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files | {"names of files": "\n".join(files).encode()}
