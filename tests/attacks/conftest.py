"""Fixtures: each file of attacks has a platform of its own, which must survive every one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.alive import Attacker, surviving
from tests.attacks.fuzz import Line
from tests.embedded.server import ROOT, Embedded

PLUGINS = ROOT / "tests" / "attacks" / "plugins"


@pytest.fixture
def attacker(server: Embedded) -> Iterator[Attacker]:
    """A client of the file's platform, which survives whatever that client does."""
    with surviving(server) as attacker:
        yield attacker


@pytest.fixture
def line(attacker: Attacker) -> Iterator[Line]:
    """A connection for thousands of requests."""
    line = Line(attacker.url)
    yield line
    line.close()
