"""By SYN packets or by connections, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import leadapron.net.syn
from leadapron.errors import InputError
from leadapron.pipeline_method import method_of
from leadapron.scope.grant import load_scope
from scope_file import write_scope

GAP = '[[zone]]\nname = "z"\nnetworks = ["127.91.0.0/28"]\ngap_seconds = 2\n'


def sweep(method: str, more: str = "") -> str:
    return f'[sweep]\nmethod = "{method}"\n{more}\n'


def scope_file(folder: Path, *, extra: str = "", wide: bool = False) -> Path:
    (folder / "page.txt").write_text("What this is.")
    survey = '[survey]\nopt_out = "no@cert.example"\npage = "page.txt"\n' if wide else ""
    return write_scope(
        folder / "scope.toml",
        networks=["127.91.0.0/24"],
        ports=[50_104],
        granted="wide = true" if wide else "",
        extra=survey + extra,
        depth="talk" if wide else "count",
    )


@pytest.fixture
def can(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether this process may send raw packets."""
    return lambda may: monkeypatch.setattr(leadapron.net.syn, "can_sweep_raw", lambda: may)


@pytest.mark.parametrize(
    ("method", "wide", "raw", "extra", "chosen"),
    [
        ("auto", True, True, "", "syn"),
        ("auto", True, False, "", "connect"),
        ("auto", False, True, "", "connect"),
        ("auto", True, True, GAP, "connect"),
        ("syn", False, True, "", "syn"),
        ("syn", True, True, "", "syn"),
        ("connect", True, True, "", "connect"),
    ],
)
def test_packets_where_a_grant_is_wide_and_they_may_be_sent_unless_the_scope_says_otherwise(
    tmp_path: Path, can: Callable[[bool], None], method: str, wide: bool, raw: bool, extra: str, chosen: str
) -> None:
    can(raw)
    scope = load_scope(scope_file(tmp_path, wide=wide, extra=sweep(method) + extra))
    assert method_of(scope).method == chosen


@pytest.mark.parametrize(
    ("raw", "extra", "says"),
    [
        (False, "", 'method = "syn" needs CAP_NET_RAW on Linux; set method = "connect", or run as root'),
        (True, GAP, "keeps no gap between packets to a zone"),
    ],
)
def test_what_packets_cannot_keep_is_a_mistake_before_anything_is_touched(
    tmp_path: Path, can: Callable[[bool], None], raw: bool, extra: str, says: str
) -> None:
    can(raw)
    with pytest.raises(InputError, match=says):
        method_of(load_scope(scope_file(tmp_path, extra=sweep("syn") + extra)))
