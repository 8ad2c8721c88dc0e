"""The file of kept calls and results. Used by one thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from calls.kept import KeptUnavailable, size_of
from calls.sqlite.book import Entry, State

VERSION: Final = 1
"""Of the schema, kept in the file as `user_version`."""

_SCHEMA: Final = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE kept (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    call BLOB, attempts INTEGER NOT NULL, mark BLOB NOT NULL, result BLOB, ends REAL
);
PRAGMA user_version = {VERSION};
"""
BUSY_SECS: Final = 5.0
"""Seconds that another program, one that copies it for instance, may keep the file from being written."""
_FREED: Final = 1000
"""Pages that are given back to the disk after each removal, at most."""


class KeptFile:
    """`calls.sqlite` in a folder that belongs to this process. What was written is there after a crash."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "calls.sqlite"
        self._connection: sqlite3.Connection | None = None

    def open(self) -> list[tuple[str, Entry]]:
        """Opens or makes the file, readable by its owner only, and gives what is in it, in the order of its coming,
        results in that of their ends. Raises KeptUnavailable, sqlite3.Error or OSError."""
        # SQLite gives its journal files the mode of the main file, which therefore is made first.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        # A statement that is kept for the next time keeps the values that it was given, megabytes of them.
        connection = self._connection = sqlite3.connect(
            self._path, timeout=BUSY_SECS, isolation_level=None, check_same_thread=False, cached_statements=0
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not version:
            connection.executescript(_SCHEMA)
        elif version != VERSION:
            raise KeptUnavailable(f"{self._path} was made by another version of Plugbay: move it away")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        columns = "id, owner, length(call), attempts, length(result), length(mark), ends"
        rows = connection.execute(f"SELECT {columns} FROM kept ORDER BY ends, number")
        return [(str(id), _entry(str(owner), *numbers)) for id, owner, *numbers in rows]

    def close(self) -> None:
        """May be called twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise KeptUnavailable("the file of kept calls is not open")
        return self._connection

    def put(self, id: str, owner: str, call: bytes, dropped: Iterable[str]) -> None:
        """Adds a call."""
        self._change(
            dropped, "INSERT INTO kept (id, owner, call, attempts, mark) VALUES (?, ?, ?, 0, x'')", id, owner, call
        )

    def hold(self, id: str, owner: str, mark: bytes, ends: float, dropped: Iterable[str]) -> None:
        """Adds an id whose result is to come."""
        added = "INSERT INTO kept (id, owner, attempts, mark, ends) VALUES (?, ?, 0, ?, ?)"
        self._change(dropped, added, id, owner, mark, ends)

    def finish(self, id: str, result: bytes, ends: float, dropped: Iterable[str]) -> None:
        """Puts a result in the place of a call."""
        self._change(dropped, "UPDATE kept SET call = NULL, result = ?, ends = ? WHERE id = ?", result, ends, id)

    def drop(self, ids: Iterable[str]) -> None:
        """Removes what is under these ids."""
        self._change(ids, "")

    def take(self, id: str, attempts: int) -> bytes | None:
        """The call under this id, with how often it was taken; None when it was removed. That number does not wait for
        the disk: after a power cut a call may be tried once more."""
        self._open.execute("PRAGMA synchronous = NORMAL")
        rows = self._open.execute("UPDATE kept SET attempts = ? WHERE id = ? RETURNING call", (attempts, id)).fetchall()
        self._open.execute("PRAGMA synchronous = FULL")
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def content(self, id: str) -> tuple[bytes | None, bytes]:
        """The result under this id, if it has one, and its mark."""
        row = self._open.execute("SELECT result, mark FROM kept WHERE id = ?", (id,)).fetchone()
        return row or (None, b"")

    def _change(self, dropped: Iterable[str], statement: str, *values: str | bytes | float) -> None:
        connection = self._open
        connection.execute("BEGIN IMMEDIATE")
        try:
            gone = connection.executemany("DELETE FROM kept WHERE id = ?", [(id,) for id in dropped]).rowcount
            if statement:
                connection.execute(statement, values)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # some errors have rolled back already
                connection.execute("ROLLBACK")
            raise
        if gone > 0:
            connection.execute(f"PRAGMA incremental_vacuum({_FREED})").fetchall()


def _entry(owner: str, call: int | None, attempts: int, result: int | None, mark: int, ends: float | None) -> Entry:
    content = call if call is not None else result if result is not None else mark
    size = size_of(b"") + content
    if call is not None:
        return Entry(owner, size, State.WAITING, attempts)
    return Entry(owner, size, State.HELD if result is None else State.DONE, attempts, ends or 0.0)
