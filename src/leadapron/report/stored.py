"""What a run stores as an English sentence, said in the language of a report: why it ended, and places that are ranges.

The store keeps these as they were written. Their forms are closed: the English catalogue has each as the pipeline
writes it, so that it serves as the pattern to read one by. A text of no known form is shown as it is.
"""

from __future__ import annotations

import functools
import re
import string

from leadapron.report.inert import plain
from leadapron.report.messages import Messages, messages


def why(t: Messages, text: str) -> str:
    """`Run.why`."""
    return _said_again(t, "why", text)


def where(t: Messages, text: str) -> str:
    """`Unknown.endpoint`: an endpoint, a name, or a range (`198.18.0.0-198.18.0.19 port 104`)."""
    return _said_again(t, "place", text)


def _said_again(t: Messages, family: str, text: str) -> str:
    for key, pattern in _forms(family):
        if found := pattern.fullmatch(text):
            return plain(t(key, **found.groupdict()))
    return plain(text)


@functools.cache
def _forms(family: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """In the order of the catalogue: the first that fits is taken."""
    texts = messages("en").texts
    return tuple((key, _pattern(text)) for key, text in texts.items() if key.startswith(f"{family}."))


def _pattern(text: str) -> re.Pattern[str]:
    """Each {placeholder} stands for at least one character."""
    parts = string.Formatter().parse(text)
    return re.compile("".join(re.escape(said) + (f"(?P<{name}>.+)" if name else "") for said, name, _, _ in parts))
