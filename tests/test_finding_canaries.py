"""The search for canaries finds them in every form that a program may give them, and nothing where there is none."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import random
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from canaries import Canaries, files_below

FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "small": lambda text: text.lower().encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16, high byte first": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32-le"),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "a dump": lambda text: text.encode().hex(" ").upper().encode(),
    "of a URL": lambda text: "".join(f"%{ord(letter):02X}" for letter in text).encode(),
    "of JSON": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text).encode(),
    "of Python": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text).encode(),
    "of HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text).encode(),
    "of HTML, hexadecimal": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text).encode(),
    "UTF-16, as Python shows it": lambda text: repr(text.encode("utf-16-le")).encode(),
    "a list": lambda text: repr(list(text.encode())).encode(),
    "quoted": lambda text: html.escape(urllib.parse.quote(json.dumps(text))).encode(),
    "gzip": lambda text: b"before" + gzip.compress(text.encode()) + b"behind",
    "zlib": lambda text: b"before" + zlib.compress(text.encode()) + b"behind",
    "Base64 in gzip": lambda text: gzip.compress(base64.b64encode(text.encode())),
    "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest().encode(),
    "md5": lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper().encode(),
    **{
        f"Base64, {before} bytes in": lambda text, before=before: base64.b64encode(
            b"x" * before + text.encode() + b"yz"
        )  # type: ignore[misc]
        for before in range(4)
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_canary_is_found_in_whatever_form(form: str) -> None:
    canaries = Canaries()
    canaries.word("elsewhere")
    word = canaries.word("the place")
    noise = random.Random(1).randbytes(4000)
    assert not canaries.found(noise)
    found = canaries.found(noise + FORMS[form](word) + noise)
    assert len(found) == 1
    assert found <= {"the place", "somewhere", f"the place, as {form}"}


def test_a_leak_says_what_and_where(tmp_path: Path) -> None:
    canaries = Canaries("SYNTHETIC")
    word = canaries.word("share comment")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "log").write_text(f"of {word} and SYNTHETIC^1")
    (tmp_path / word).write_text("nothing, kanari")
    assert canaries.leaks(files_below(tmp_path)) == [
        "SYNTHETIC, of others: in folder/log",
        "share comment: in folder/log",
        "share comment: in names of files",
    ]
