"""The page in a real browser: at no width does anything stick out of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_public import many, of

from leadapron.report.html import render_html
from leadapron.report.messages import LANGUAGES
from leadapron.report.public_html import render_public_html
from leadapron.report.subset import for_party
from leadapron.report.view import View

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
OFFLINE = ("unshare", "--net") if os.geteuid() == 0 else ()
"""A browser calls home where it can."""
PAPER = 680
"""CSS pixels between the margins of an A4 page."""


def measured(page: str, folder: Path, width: int) -> tuple[int, int]:
    """Widths of the window and of what is in it, in CSS pixels. The page's own policy allows no script, ours included."""
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    script = "document.title = innerWidth + ' ' + document.documentElement.scrollWidth"
    file = folder / "page.html"
    file.write_text(bare.replace("</body>", f"<script>{script}</script></body>"))
    flags = [f"--{flag}" for flag in (*QUIET, "disable-component-update", "disable-sync")]
    profile, window = f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"
    done = subprocess.run(
        [
            *OFFLINE,
            str(CHROMIUM),
            "--headless",
            *flags,
            profile,
            window,
            "--hide-scrollbars",
            "--dump-dom",
            file.as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (found,) = re.findall(r"<title>(\d+) (\d+)</title>", done.stdout)
    return int(found[0]), int(found[1])


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [500, 900, 1000, 1280])
def test_nothing_sticks_out_of_the_page(view: View, tmp_path: Path, language: str, width: int) -> None:
    assert measured(render_html(view, language), tmp_path, width) == (width, width)


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_sticks_out_of_what_is_for_others(view: View, tmp_path: Path, language: str) -> None:
    part, public = for_party(view, "Example Teleradiology"), of([*many(0, 9), *many(1, 6, "IT"), *many(2, 2, "MT")])

    assert measured(render_html(part, language), tmp_path, 500) == (500, 500)
    assert measured(render_public_html(public, language), tmp_path, 500) == (500, 500)
    assert measured(render_public_html(public, language), tmp_path, 1280) == (1280, 1280)


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_sticks_out_of_the_paper(view: View, tmp_path: Path, language: str) -> None:
    page = render_html(view, language).replace("@media print", "@media all").replace("@media screen", "@media print")

    assert measured(page, tmp_path, PAPER) == (PAPER, PAPER)
