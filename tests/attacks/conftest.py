"""Fixtures: a platform that must survive every attack. Files whose attacks need other settings have their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.alive import Attacker, surviving
from tests.attacks.fuzz import Line
from tests.embedded.server import ROOT, Embedded, running

PLUGINS = ROOT / "tests" / "attacks" / "plugins"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The platform with the attacked modules, all settings being the default ones."""
    with running(PLUGINS, tmp_path_factory.mktemp("attacks") / "data") as server:
        yield server


@pytest.fixture
def attacker(server: Embedded) -> Iterator[Attacker]:
    """A client of the platform, which survives whatever that client does."""
    with surviving(server) as attacker:
        yield attacker


@pytest.fixture
def line(attacker: Attacker) -> Iterator[Line]:
    """A connection for thousands of requests."""
    line = Line(attacker.url)
    yield line
    line.close()
