"""Every example of the README: what it shows of the samples stands in them, and commands answer as shown."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.docs.markdown import README, ROOT, blocks
from tests.docs.terminal import Terminal, fits
from tests.embedded.server import running

EXCERPTS = blocks(README, "python")
SESSIONS = blocks(README, "console")
PATIENCE_SECS = 20
"""How long a command that only looks may take to answer as shown."""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A checkout in which the platform was just started, without the sample that needs a package."""
    folder = tmp_path_factory.mktemp("checkout")
    without = shutil.ignore_patterns("requirements.txt", "pictures.py", "__pycache__")
    shutil.copytree(ROOT / "plugins", folder / "plugins", ignore=without)
    shutil.copy(ROOT / "LICENSE", folder)
    with running(folder / "plugins", folder / "data") as server:
        yield Terminal(server, folder)


def test_there_are_examples() -> None:
    assert len(EXCERPTS) >= 5
    assert sum(session.count("\n$ ") + 1 for session in SESSIONS) >= 20


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=[excerpt.partition("\n")[0] for excerpt in EXCERPTS])
def test_what_is_shown_of_a_sample_stands_in_it(excerpt: str) -> None:
    first, _, shown = excerpt.partition("\n")
    source = (ROOT / first.removeprefix("# ")).read_text(encoding="utf-8")
    for part in shown.split("…\n"):
        assert part.strip("\n") in source


def test_commands_answer_as_shown(terminal: Terminal) -> None:
    """In the order of the README, as a reader would type them."""
    for session in SESSIONS:
        for line, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", session, re.MULTILINE):
            _expect(terminal, line, shown.rstrip())


def _expect(terminal: Terminal, line: str, shown: str) -> None:
    """Commands that only look are repeated: what was saved a moment ago serves a moment later."""
    looks = line.startswith(("curl http", "curl 'http", "./plugbay dir")) and " -d " not in line
    deadline = time.monotonic() + PATIENCE_SECS
    output = terminal.run(line)
    while looks and not fits(output, shown) and time.monotonic() < deadline:
        output = terminal.run(line)
    assert fits(output, shown), f"$ {line}\n{output}\n--- the README shows:\n{shown}"
