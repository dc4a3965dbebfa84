from __future__ import annotations

from collections.abc import Callable

import pytest
from report_estate import make_view

from leadapron.report.view import View


@pytest.fixture
def view() -> View:
    return make_view()


@pytest.fixture
def viewed() -> Callable[..., View]:
    """What a run with these observations, and these fields of the run changed, says."""
    return make_view
