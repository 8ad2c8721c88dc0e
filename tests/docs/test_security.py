"""docs/security.md names tests for the rows of the security requirements, and files for controls: all of them are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT, code, table

SECURITY = (ROOT / "docs/security.md").read_text(encoding="utf-8")
IN_NAME = re.compile(r"^(?:async )?def test_((?:[a-j]\d+_)+)", re.MULTILINE)
IN_TABLE = re.compile(r'\b(?:Row|breaks)\(\s*"([A-J]\d+)"')


def rows(text: str) -> set[str]:
    """The rows that a file of tests attacks: in the names of its functions, and in its tables."""
    named = {row.upper() for found in IN_NAME.findall(text) for row in found.split("_") if row}
    return named | set(IN_TABLE.findall(text))


def attacked() -> dict[str, set[str]]:
    """File of tests → the rows that the document says it attacks."""
    return {code(file)[0]: set(its.split()) for file, its, _ in table(SECURITY, "tests")}


@pytest.mark.parametrize(("file", "its"), attacked().items())
def test_each_row_is_attacked_where_the_document_says(file: str, its: set[str]) -> None:
    assert its <= rows((ROOT / file).read_text(encoding="utf-8"))


def test_no_attack_in_sandboxes_is_left_out() -> None:
    for path in (ROOT / "tests/attacks/sandboxes").glob("test_*.py"):
        assert attacked()[path.relative_to(ROOT).as_posix()] == rows(path.read_text(encoding="utf-8")), path


def test_the_order_of_rows_is_theirs() -> None:
    for _, its, _ in table(SECURITY, "tests"):
        assert its.split() == sorted(its.split(), key=lambda row: (row[0], int(row[1:])))


def test_each_control_is_applied_in_a_file_that_is_there() -> None:
    for _, _, where, proof in table(SECURITY, "control"):
        for file in [*code(where), *code(proof)]:
            path, _, name = file.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not name or re.search(rf"\b{name}\b", text), f"{path} has no {name}"
