"""Modules and bundles in the embedded store's file. On the store's own thread."""

from __future__ import annotations

import sqlite3
from typing import Final

from calls import bundle as bundles
from store.contract import Conflict, Module, ModuleSet, Version

UNNAMED_KEPT: Final = 1000
UNNAMED_KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bundles kept though no module names them, the latest ones: versions that are being inspected."""

_FORGET_BUNDLES: Final = """
DELETE FROM bundle WHERE digest IN (
    SELECT digest FROM (
        SELECT digest, row_number() OVER (ORDER BY kept DESC) AS place,
               sum(length(data)) OVER (ORDER BY kept DESC) AS bytes
        FROM bundle WHERE digest NOT IN (SELECT digest FROM module UNION ALL SELECT digest FROM version)
    ) WHERE place > ? OR bytes > ?
)
"""
_COLUMNS: Final = ("name", "alias", "digest", "source", "environment", "report", "version")


def put_bundle(connection: sqlite3.Connection, data: bytes) -> str:
    """Keeps a bundle and gives its digest."""
    digest = bundles.digest(data)
    (latest,) = connection.execute("SELECT coalesce(max(kept), 0) FROM bundle").fetchone()
    known = connection.execute("UPDATE bundle SET kept = ? WHERE digest = ?", (latest + 1, digest)).rowcount
    if not known:
        connection.execute("INSERT INTO bundle (digest, kept, data) VALUES (?, ?, ?)", (digest, latest + 1, data))
    return digest


def change(
    connection: sqlite3.Connection, owner: str, put: list[Module], gone: set[str], revision: int | None = None
) -> ModuleSet:
    """See Store.change_modules."""
    before = read(connection, owner)
    if revision not in (None, before.revision):
        raise Conflict(f"the modules of {owner} were changed meanwhile")
    known = {module.name: module for module in before.modules}
    wanted = {name: module for name, module in known.items() if name not in gone}
    wanted |= {module.name: module for module in put}
    if wanted == known:
        return before
    for name in known.keys() - wanted.keys():
        connection.execute("DELETE FROM module WHERE owner = ? AND name = ?", (owner, name))
        connection.execute("DELETE FROM version WHERE owner = ? AND name = ?", (owner, name))
    for name, module in wanted.items():
        if known.get(name) != module:
            _write(connection, module)
    connection.execute("INSERT OR REPLACE INTO revision (owner, revision) VALUES (?, ?)", (owner, before.revision + 1))
    connection.execute(_FORGET_BUNDLES, (UNNAMED_KEPT, UNNAMED_KEPT_BYTES))
    return read(connection, owner)


def read(connection: sqlite3.Connection, owner: str) -> ModuleSet:
    """See Store.modules."""
    row = connection.execute("SELECT revision FROM revision WHERE owner = ?", (owner,)).fetchone()
    versions: dict[str, list[Version]] = {}
    for name, number, digest, created, signed_by in connection.execute(
        "SELECT name, number, digest, created, signed_by FROM version WHERE owner = ? ORDER BY name, number", (owner,)
    ):
        versions.setdefault(name, []).append(Version(number, digest, created, signed_by))
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM module WHERE owner = ? ORDER BY name", (owner,))
    modules = tuple(
        Module(owner=owner, versions=tuple(versions.get(values[0], ())), **dict(zip(_COLUMNS, values, strict=True)))
        for values in rows
    )
    return ModuleSet(owner=owner, revision=row[0] if row else 0, modules=modules)


def _write(connection: sqlite3.Connection, module: Module) -> None:
    values = (module.owner, *(getattr(module, column) for column in _COLUMNS))
    try:
        connection.execute(
            f"INSERT OR REPLACE INTO module (owner, {', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
        )
        connection.execute("DELETE FROM version WHERE owner = ? AND name = ?", (module.owner, module.name))
        connection.executemany(
            "INSERT INTO version (owner, name, number, digest, created, signed_by) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (module.owner, module.name, *(getattr(one, field) for field in Version.__struct_fields__))
                for one in module.versions
            ],
        )
    except sqlite3.IntegrityError as error:
        raise ValueError(f"a bundle of module {module.name} was not kept") from error
