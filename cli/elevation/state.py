"""What is remembered of an elevation, from before its first step until it is undone."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from cli.installation import Installation, load
from cli.problem import Problem


class Elevation(msgspec.Struct, kw_only=True):
    """One tenant's way to an installation of its own."""

    uuid: str
    name: str
    """For people."""
    folder: str
    """Of the new installation."""
    kind: Literal["embedded", "stack"]
    port: int
    address: str
    """What callers are told."""
    copied: bool = False
    """All that the tenant has is in the new store."""

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)

    @property
    def project(self) -> str:
        """Compose project of a stack: no other folder's has the same."""
        return f"plugbay-{self.uuid[:8]}-{hashlib.sha256(self.folder.encode()).hexdigest()[:6]}"

    def installation(self) -> Installation:
        """The new one, as its files say."""
        return load(self.path, {})


class Elevations:
    """Those of one installation: a file for each in its DATA_DIR."""

    def __init__(self, here: Installation) -> None:
        self._folder = here.data_dir / "elevations"
        self._root = here.root

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time, for the length of a block. Raises Problem."""
        try:
            lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Problem(f"{self._root} cannot be used: {error.strerror}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Problem("Another elevation is under way here: wait for its end") from error
            yield
        finally:
            os.close(lock)

    def find(self, uuid: str) -> Elevation | None:
        """What is remembered of this tenant's. Raises Problem when it cannot be read."""
        file = self._file(uuid)
        try:
            return msgspec.json.decode(file.read_bytes(), type=Elevation)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Problem(f"{file} cannot be read: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise Problem(f"{file} is damaged: {error}") from error

    def keep(self, elevation: Elevation) -> None:
        """Remembers it, whole or not at all. Raises Problem."""
        file = self._file(elevation.uuid)
        new = file.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(elevation))
            new.replace(file)
        except OSError as error:
            raise Problem(f"{file} cannot be written: {error.strerror}") from error

    def forget(self, uuid: str) -> None:
        """Forgets it, if there is one. Raises Problem."""
        file = self._file(uuid)
        try:
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there are others, or there never was one
                self._folder.rmdir()
        except OSError as error:
            raise Problem(f"{file} cannot be removed: {error.strerror}") from error

    def _file(self, uuid: str) -> Path:
        return self._folder / f"{uuid}.json"
