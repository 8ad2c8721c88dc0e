"""Programs that some tests need and Plugbay itself does not, and the Debian package each comes from.

`python -m tests.needs` prints the packages that are missing here, for `./run-tests.sh --install`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial


@dataclass(frozen=True)
class Need:
    """One thing a test can ask for with `@pytest.mark.needs("<name>")`."""

    package: str
    """Debian package that brings it."""
    found: Callable[[], bool]
    """Whether it works here: for a program that it is there, for a service that it answers."""


def _program(name: str) -> Callable[[], bool]:
    return partial(_on_path, name)


@cache
def _on_path(name: str) -> bool:
    return shutil.which(name) is not None


NEEDS = {
    "node": Need("nodejs", _program("node")),
    "redis": Need("redis-server", _program("redis-server")),
    "shellcheck": Need("shellcheck", _program("shellcheck")),
}


def unmet(names: Iterable[str]) -> list[str]:
    """Those of `names` that this machine lacks. Raises KeyError for a name that is not in NEEDS."""
    return [name for name in names if not NEEDS[name].found()]


def packages(names: Iterable[str]) -> list[str]:
    """The Debian packages that bring these, each once."""
    return sorted({NEEDS[name].package for name in names})


if __name__ == "__main__":
    print(*packages(unmet(NEEDS)))
