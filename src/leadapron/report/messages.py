"""The texts of reports, one TOML catalogue a language."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from leadapron.errors import InputError

LANGUAGES = ("en", "it")


@dataclass(frozen=True, slots=True)
class Messages:
    """`texts` by dotted key. A key that is missing is a mistake of ours: KeyError."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, /, **values: str) -> str:
        """Values are put in as they are; braces in them mean nothing."""
        return self.texts[key].format_map(values)

    def __contains__(self, key: str) -> bool:
        return key in self.texts

    def plural(self, key: str, number: int, /, **values: str) -> str:
        """`key.one` for 1, else `key.other`."""
        return self(f"{key}.one" if number == 1 else f"{key}.other", **values)

    def number(self, value: float) -> str:
        """With the language's separators: 12,345.5 or 12.345,5."""
        text = f"{value:,}" if isinstance(value, int) or not value.is_integer() else f"{int(value):,}"
        return text.translate({ord(","): self("number.thousands"), ord("."): self("number.decimal")})


@functools.cache
def messages(language: str) -> Messages:
    """The catalogue of one of `LANGUAGES`."""
    if language not in LANGUAGES:
        raise InputError(f"no texts in language {language!r}; choose one of {', '.join(LANGUAGES)}")
    file = resources.files("leadapron.report") / "messages" / f"{language}.toml"
    return Messages(language, dict(_flat("", tomllib.loads(file.read_text("utf-8")))))


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", str(value)
