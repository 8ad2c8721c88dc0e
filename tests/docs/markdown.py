"""The few parts of Markdown that the documents are made of, for holding them against the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The contents of all fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def table(text: str, first_column: str) -> list[list[str]]:
    """The rows of the one table whose first column has this heading, cell by cell."""
    found = re.findall(rf"^\| {first_column} \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert len(found) == 1, f"{len(found)} tables begin with a column {first_column!r}"
    return [cells(line) for line in found[0].splitlines()]


def cells(line: str) -> list[str]:
    """The cells of one row of a table."""
    return [cell.strip() for cell in line.split("|")[1:-1]]


def code(text: str) -> list[str]:
    """Everything between single backticks; fenced blocks do not count."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", prose)
