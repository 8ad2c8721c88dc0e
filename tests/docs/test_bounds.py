"""The table of bounds in docs/architecture.md: each with the value it has, and none left out."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator

import pytest

from settings import Settings
from tests.docs.markdown import ARCHITECTURE, ROOT, cells, code
from tests.docs.test_rooms import files

ROWS = [
    cells(line)
    for line in ARCHITECTURE.partition("<!-- bounds -->")[2].partition("<!-- bounds: end -->")[0].splitlines()
    if "`" in line
]
NOT_BOUNDS = {"GATEWAY_PORT", "HTTP_PORT", "calls/call.py _ID_BYTES"}


def renderings(value: object) -> set[str]:
    """Ways to write a bound for people."""
    if isinstance(value, tuple):
        return {", ".join(f"{item:g}" for item in value) + " s"}
    assert isinstance(value, int | float)
    plain = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return {plain, f"{value:g} s", f"{value / 1024:g} KiB", f"{value / 1024**2:g} MiB"}


def constants() -> Iterator[str]:
    """`file NAME` of every constant whose name says that it is a bound, without those of kinds that are folders."""
    for room, file in files():
        if file.parent != ROOT / room and file != ROOT / f"{room}.py":
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name) and re.fullmatch(r"_?MAX_[A-Z_]+|[A-Z_]+_(SECS|BYTES)", target.id):
                    yield f"{file.relative_to(ROOT).as_posix()} {target.id}"


@pytest.mark.parametrize("row", ROWS, ids=[row[-1].replace("`", "") for row in ROWS])
def test_a_bound_is_as_told(row: list[str]) -> None:
    _, told, where = row
    *file, name = code(where)
    if file:
        value = getattr(importlib.import_module(file[0].removesuffix(".py").replace("/", ".")), name)
    else:
        value = Settings.model_fields[name].default
    assert told in renderings(value), f"{name} is {value}"


def test_no_bound_is_left_out() -> None:
    told = {" ".join(code(where)) for *_, where in ROWS}
    settings = {name for name, field in Settings.model_fields.items() if isinstance(field.default, int | float)}
    assert (settings | set(constants())) - told - NOT_BOUNDS == set(), (
        "give these a row in docs/architecture.md, Bounds"
    )
