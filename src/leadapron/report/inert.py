"""Text that a report shows, without the characters that act on a screen instead of being read."""

from __future__ import annotations

import re
import unicodedata

_FORMULA = re.compile(r"[\s\ufffd]*[=+\-@＝＋－＠]")


def plain(text: str) -> str:
    """`text` with every control, format, line-breaking, surrogate and private-use character replaced by U+FFFD.

    That takes in ESC and the C1 controls (a terminal obeys them), bidirectional overrides (they reorder what a person
    reads), zero-width characters (they make two names look alike), line breaks and lone surrogates.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if _acts(character) else character for character in text)


def cell(text: str) -> str:
    """`text` for a spreadsheet: `plain` (so without TAB and CR), an apostrophe before what could be a formula."""
    shown = plain(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def _acts(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
