"""Which room may import which: the table of docs/architecture.md, and the imports as they stand in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import ARCHITECTURE, ROOT, code, table

IMPORTS: dict[str, set[str]] = {
    "gateway": {"calls", "catalogue", "plans", "plugbay_client", "settings", "store", "tokens"},
    "gateway/control": {"calls", "catalogue", "gateway", "plugbay_client", "settings", "store"},
    "catalogue": {"calls", "store"},
    "calls": set(),
    "runner": {"calls", "runner/worker", "store"},
    "runner/worker": {"calls", "expose", "vyperlogix"},
    "store": {"calls"},
    "expose": set(),
    "vyperlogix": {"expose"},
    "tokens": {"plugbay_client"},
    "plugbay_client": set(),
    "cli": {"catalogue", "plugbay_client", "settings", "store"},
    "deploy": {
        *("calls", "catalogue", "gateway", "gateway/control"),
        *("plans", "runner", "runner/worker", "settings", "store", "tokens"),
    },
    "embedded": {
        *("calls", "catalogue", "deploy", "gateway", "plans"),
        *("runner", "runner/worker", "settings", "store", "tokens"),
    },
    "plans": {"settings"},
    "settings": set(),
}
KINDS = {
    *("calls.inprocess", "calls.redis", "runner.docker", "runner.process"),
    *("calls.sqlite", "store.mongo", "store.sqlite", "tokens.memory", "tokens.redis"),
}
"""Modules that only a room which wires may name."""
FILES = {"plans", "settings"}
"""Rooms that are one file each."""
WIRING = {"cli", "deploy", "embedded"}


def files() -> Iterator[tuple[str, Path]]:
    """Each source file with the room it is in: the innermost that the table has."""
    for name in FILES:
        yield name, ROOT / f"{name}.py"
    for top in {room.partition("/")[0] for room in IMPORTS} - FILES:
        for file in (ROOT / top).rglob("*.py"):
            folder = file.parent.relative_to(ROOT).as_posix()
            yield max((room for room in IMPORTS if f"{folder}/".startswith(f"{room}/")), key=len), file


def imported(file: Path) -> Iterator[str]:
    """Dotted names of what a file imports, also inside functions and for type checkers alone."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file}: a relative import hides its room"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    """The room that a dotted name belongs to; None for what is not ours."""
    path = name.replace(".", "/") + "/"
    return max((room for room in IMPORTS if path.startswith(f"{room}/")), key=len, default=None)


def test_the_document_has_the_same_table() -> None:
    assert {code(room)[0]: set(code(imports)) for room, _, imports, _ in table(ARCHITECTURE, "room")} == IMPORTS


def test_every_room_is_in_the_table() -> None:
    packages = {file.parent.name for file in ROOT.glob("[a-z]*/__init__.py")} - {"benchmarks"}
    assert packages == {room for room in IMPORTS if "/" not in room} - FILES


def test_rooms_import_what_the_table_says() -> None:
    found: dict[str, dict[str, str]] = {room: {} for room in IMPORTS}
    for room, file in files():
        for name in imported(file):
            other = room_of(name)
            if other is not None and other != room:
                found[room][other] = f"{file.relative_to(ROOT)} imports {name}"
    against = [why for room in found for other, why in found[room].items() if other not in IMPORTS[room]]
    assert not against
    assert {room: set(others) for room, others in found.items()} == IMPORTS


def test_only_wiring_names_a_kind() -> None:
    for room, file in files():
        own = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for name in imported(file):
            kind = next((kind for kind in KINDS if f"{name}.".startswith(f"{kind}.")), None)
            assert kind is None or room in WIRING or f"{own}.".startswith(f"{kind}."), (
                f"{file.relative_to(ROOT)} imports {name}"
            )
