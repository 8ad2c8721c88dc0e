"""Fixtures: the platform with the modules of a test file, started once per file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.server import ROOT, Embedded, running


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The platform with the sample modules it ships with."""
    with running(ROOT / "plugins", tmp_path_factory.mktemp("samples") / "data") as server:
        yield server


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Embedded]:
    """A platform of the test's own, with an empty plugin folder."""
    with running(tmp_path / "plugins", tmp_path / "data") as server:
        yield server
