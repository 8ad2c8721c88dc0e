"""Given what an image starts, when all is followed that it imports, then the image has every file of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT
from tests.docs.test_rooms import imported


def imports(start: str) -> set[str]:
    """Paths of all files of the platform that this one imports, in whatever function, or what it imports does."""
    found: set[str] = set()
    wanted = [start]
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        found.add(path)
        for name in imported(ROOT / path):
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                module = "/".join(parts[:end])
                wanted += [one for one in (f"{module}.py", f"{module}/__init__.py") if (ROOT / one).is_file()]
    return found


def copied(image: str) -> list[str]:
    """What its Dockerfile takes from the checkout: files and folders."""
    text = (ROOT / "images" / image / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE)
    return [path for line in lines for path in line.split()[:-1]]


def sent(image: str) -> list[str]:
    """What its .dockerignore lets through."""
    lines = (ROOT / "images" / image / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.mark.parametrize(
    ("image", "start"),
    [
        ("gateway", "deploy/gateway.py"),
        ("gateway", "deploy/reach.py"),
        ("gateway", "deploy/database_user.py"),
        ("host", "deploy/host.py"),
    ],
)
def test_an_image_has_what_it_imports(image: str, start: str) -> None:
    for there in (copied(image), sent(image)):
        missing = {path for path in imports(start) if not any(Path(path).is_relative_to(one) for one in there)}
        assert not missing
