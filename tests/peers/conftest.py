"""Certificates of the servers that speak TLS."""

from __future__ import annotations

import pytest
from tls_servers import Maker, Pair, require_openssl


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    require_openssl()
    return Maker(folder=tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pair(maker: Maker) -> Pair:
    return maker.make("pacs")
