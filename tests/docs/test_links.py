"""Links lead somewhere, and files that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, code

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/authentication.md",
    "docs/operations.md",
    "docs/security.md",
    "docs/metrics.md",
]

WRITTEN_BY_OPERATORS = {"secrets/plugins.env"}


def anchors(document: Path) -> set[str]:
    """What can stand behind the # of a link to this document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links(name: str) -> None:
    document = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            there = document.parent / path if path else document
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    for path in code((ROOT / name).read_text(encoding="utf-8")):
        if re.fullmatch(rf"(?:{folders})/[\w./-]+", path):
            assert path in WRITTEN_BY_OPERATORS or (ROOT / path).exists(), path
