"""The SQLite file of the embedded store: its folder, lock, schema and what its errors mean. Used by one thread."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from store.contract import StoreUnavailable

VERSION: Final = 10
"""Of the schema, kept in the file as `user_version`."""

BUSY_SECS: Final = 5.0
"""How long a step waits for another program that has the file locked."""

_TENANTS_OF_VERSION_2: Final = """
ALTER TABLE tenant ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN folded TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN plan TEXT NOT NULL DEFAULT 'free';
ALTER TABLE tenant ADD COLUMN created REAL NOT NULL DEFAULT 0;
ALTER TABLE tenant ADD COLUMN key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX tenant_folded ON tenant (folded) WHERE folded != '';
"""

_TENANTS_OF_VERSION_3: Final = "ALTER TABLE tenant ADD COLUMN token_keys TEXT NOT NULL DEFAULT '';"

_NEW_IN_VERSION_4: Final = """
CREATE TABLE variables (owner TEXT PRIMARY KEY, revision INTEGER NOT NULL, sealed TEXT NOT NULL);
CREATE TABLE usage (
    owner TEXT NOT NULL, day TEXT NOT NULL,
    calls INTEGER NOT NULL, errors INTEGER NOT NULL, refused INTEGER NOT NULL, cold_starts INTEGER NOT NULL,
    run_seconds REAL NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    PRIMARY KEY (owner, day)
);
CREATE INDEX usage_day ON usage (day);
"""

_NEW_IN_VERSION_5: Final = """
ALTER TABLE tenant ADD COLUMN signing_keys TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN signatures TEXT NOT NULL DEFAULT '';
ALTER TABLE module ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
CREATE TABLE version (
    owner TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL REFERENCES bundle,
    created REAL NOT NULL, signed_by TEXT NOT NULL,
    PRIMARY KEY (owner, name, number)
);
CREATE INDEX version_digest ON version (digest);
"""

_NEW_IN_VERSION_6: Final = """
CREATE TABLE audit (
    id TEXT PRIMARY KEY, who TEXT NOT NULL, what TEXT NOT NULL, address TEXT NOT NULL, tenant TEXT NOT NULL,
    about TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_tenant ON audit (tenant, id);
CREATE INDEX audit_who ON audit (who, id);
"""

_USAGE_OF_VERSION_7: Final = "ALTER TABLE usage ADD COLUMN cpu_seconds REAL NOT NULL DEFAULT 0;"

_TENANTS_OF_VERSION_8: Final = "ALTER TABLE tenant ADD COLUMN api_keys TEXT NOT NULL DEFAULT '';"

_TENANTS_OF_VERSION_9: Final = "ALTER TABLE tenant ADD COLUMN address TEXT NOT NULL DEFAULT '';"

_ADMINS_OF_VERSION_10: Final = """
ALTER TABLE tenant ADD COLUMN role TEXT NOT NULL DEFAULT 'tenant';
ALTER TABLE tenant ADD COLUMN admin TEXT NOT NULL DEFAULT '';
DROP INDEX tenant_folded;
CREATE UNIQUE INDEX tenant_folded ON tenant (role, admin, folded) WHERE folded != '';
CREATE INDEX tenant_name ON tenant (folded);
CREATE INDEX tenant_admin ON tenant (admin, uuid);
ALTER TABLE audit ADD COLUMN admin TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_admin ON audit (admin, id);
"""

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE tenant (uuid TEXT PRIMARY KEY, status TEXT NOT NULL);
{_TENANTS_OF_VERSION_2}
{_TENANTS_OF_VERSION_3}
{_NEW_IN_VERSION_4}
CREATE TABLE bundle (digest TEXT PRIMARY KEY, kept INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX bundle_kept ON bundle (kept);
CREATE TABLE module (
    owner TEXT NOT NULL, name TEXT NOT NULL, alias TEXT, digest TEXT NOT NULL REFERENCES bundle,
    source TEXT NOT NULL, environment TEXT NOT NULL, report BLOB NOT NULL,
    PRIMARY KEY (owner, name)
);
CREATE INDEX module_digest ON module (digest);
{_NEW_IN_VERSION_5}
{_NEW_IN_VERSION_6}
{_USAGE_OF_VERSION_7}
{_TENANTS_OF_VERSION_8}
{_TENANTS_OF_VERSION_9}
{_ADMINS_OF_VERSION_10}
CREATE TABLE revision (owner TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = {VERSION};
COMMIT;
"""

_UPDATES: Final = (
    _TENANTS_OF_VERSION_2,
    _TENANTS_OF_VERSION_3,
    _NEW_IN_VERSION_4,
    _NEW_IN_VERSION_5,
    _NEW_IN_VERSION_6,
    _USAGE_OF_VERSION_7,
    _TENANTS_OF_VERSION_8,
    _TENANTS_OF_VERSION_9,
    _ADMINS_OF_VERSION_10,
)
"""From each version of the schema to the next, the first from 1."""


def _update(version: int) -> str:
    """What brings a file of this version up to date, in one step; the whole schema for an empty one."""
    if not version:
        return _SCHEMA
    return "\n".join(("BEGIN IMMEDIATE;", *_UPDATES[version - 1 :], f"PRAGMA user_version = {VERSION};", "COMMIT;"))


class SqliteFile:
    """`plugbay.sqlite` in a folder that belongs to this process while it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "plugbay.sqlite"
        self._connection: sqlite3.Connection | None = None
        self._lock = -1
        self._inode = 0

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading. Raises StoreUnavailable."""
        if self._connection is None:
            raise StoreUnavailable("the store is not open")
        return self._connection

    @contextmanager
    def step(self, *, hurry: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or, when anything is raised, nothing.

        `hurry` leaves it to the next step to wait for the disk, which takes milliseconds: what is kept
        by then is kept by both or, after a power cut, by neither.
        """
        connection = self.connection
        if not self._in_place():
            raise StoreUnavailable(f"{self._path} was removed or replaced while in use: restart Plugbay")
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if hurry else 'FULL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # some errors have rolled back already
                connection.execute("ROLLBACK")
            raise

    def open(self) -> None:
        """Takes the folder and opens or makes the file; both are readable by their owner only.

        Raises StoreUnavailable, sqlite3.Error or OSError, and then holds nothing.
        """
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(mode=0o700, parents=True)
            self._lock = self._take_folder()
            self._connection = self._connect()
            self._inode = self._path.stat().st_ino
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the folder free. May be called in any state."""
        connection, self._connection = self._connection, None
        lock, self._lock = self._lock, -1
        try:
            if connection is not None:
                connection.close()
        finally:
            if lock >= 0:
                os.close(lock)

    def explain(self, error: sqlite3.Error | OSError) -> str:
        """What went wrong and what an operator can do about it."""
        if isinstance(error, OSError):
            return f"DATA_DIR {self._folder} cannot be used: {error.strerror or error}; make it a writable folder"
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: the error without its details
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return (
                f"{self._path} is damaged ({error}): move it away or restore a copy; without it, modules are "
                "found again in the plugin folders, and tenants have to be registered again"
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return f"{self._path} is locked by another program: close what has it open"
        if code == sqlite3.SQLITE_FULL:
            return f"the disk of {self._path} is full"
        return f"{self._path} cannot be used: {error}"

    def _in_place(self) -> bool:
        """Whether the open file is still the one at its path: SQLite itself would go on writing to a removed one."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _take_folder(self) -> int:
        """A lock on the folder that ends with this process, however it ends."""
        lock = os.open(self._folder / "plugbay.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            raise StoreUnavailable(
                f"DATA_DIR {self._folder} is used by another Plugbay (process {holder}): "
                "stop it, or give this one a DATA_DIR of its own"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _connect(self) -> sqlite3.Connection:
        # SQLite gives its journal files the mode of the main file, which therefore is made first.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StoreUnavailable(
                    f"{self._path} was made by a newer Plugbay (its schema is {version}, this one knows {VERSION}): "
                    "update Plugbay or choose another DATA_DIR"
                )
            if version < VERSION:
                connection.executescript(_update(version))
        except BaseException:
            connection.close()
            raise
        return connection
