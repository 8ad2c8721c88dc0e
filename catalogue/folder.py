"""The plugin folders: which modules are in them, what else is and why it is not taken, and what a module holds."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from catalogue import files, names
from catalogue.files import File, Unusable
from catalogue.view import Skipped

MAX_ENTRIES: Final = 100_000
"""Entries of one plugin folder that are looked at."""

MAX_SKIPPED: Final = 1000
"""Skipped things that are listed by name."""


class Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One module in a plugin folder."""

    name: str
    place: str
    """Path of its file or package folder."""
    files: tuple[File, ...]
    """What it consists of; changes with its content."""

    @property
    def path(self) -> str:
        """Its place relative to the plugin folder."""
        return self.place.rpartition("/")[2]

    @property
    def modified(self) -> float:
        """Unix time at which it was last written to."""
        return max(file.modified for file in self.files) / 1e9

    @property
    def empty(self) -> bool:
        """Whether it holds nothing, as files do between being truncated and being written."""
        return not any(file.size for file in self.files)


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """The plugin folders at one moment."""

    modules: dict[str, Found]
    unusable: frozenset[str]
    """Modules that are there, and skipped because of what they hold now: too large, unreadable."""
    skipped: tuple[Skipped, ...]
    folders: frozenset[str]
    """All folders whose changes matter."""


class Folders:
    """The plugin folders in order; of two modules with one name, the one in the earlier folder counts."""

    def __init__(self, folders: Sequence[Path], *, max_source: int, max_bundle: int, max_modules: int) -> None:
        self._folders = tuple(folders)
        self._max_source = max_source
        self._max_bundle = max_bundle
        self._max_modules = max_modules
        self._last: dict[Path, _FolderScan] = {}

    def scan(self) -> Scan:
        """Looks at every folder; reads no file. To be called from one thread at a time. Never raises for what it finds.

        A folder that cannot be listed now keeps what it had; one that is not there has nothing.
        """
        modules: dict[str, Found] = {}
        unusable: set[str] = set()
        skipped: list[Skipped] = []
        watched: set[str] = set()
        for folder in self._folders:
            scanned = self._scan_folder(folder)
            skipped += scanned.skipped
            watched |= scanned.folders
            for name, found in scanned.modules.items():
                if name in modules or name in unusable:
                    skipped.append(
                        Skipped(path=found.path, reason="an earlier plugin folder has a module of this name")
                    )
                elif len(modules) >= self._max_modules:
                    skipped.append(
                        Skipped(path=found.path, reason=f"more than {self._max_modules} modules (MAX_MODULES)")
                    )
                else:
                    modules[name] = found
            unusable |= scanned.unusable - modules.keys()
        if len(skipped) > MAX_SKIPPED:
            more = len(skipped) - MAX_SKIPPED
            skipped[MAX_SKIPPED:] = [Skipped(path="…", reason=f"{more} more are skipped")]
        return Scan(modules=modules, unusable=frozenset(unusable), skipped=tuple(skipped), folders=frozenset(watched))

    def read(self, found: Found) -> dict[str, bytes]:
        """The module's files for `calls.bundle.pack`. Raises Unusable."""
        try:
            if found.place.endswith(".py"):
                return {found.path: files.read(found.place, self._max_source)}
            return self._read_package(found.place)
        except OSError as error:
            raise Unusable(_reason(error)) from error

    def still(self, found: Found) -> bool:
        """Whether the module's files are the ones that were found."""
        try:
            return self._look(found.place, _FolderScan()).files == found.files
        except (Unusable, OSError):
            return False

    def _read_package(self, place: str) -> dict[str, bytes]:
        content: dict[str, bytes] = {}
        left = self._max_bundle
        for file, folder in files.Tree().walk(place):
            most = min(left, self._most(file.path))
            content[file.path] = files.read(file.path.rpartition("/")[2], most, folder)
            left -= len(content[file.path])
        return content

    def _most(self, path: str) -> int:
        return self._max_source if path.endswith(".py") else self._max_bundle

    def _scan_folder(self, folder: Path) -> _FolderScan:
        try:
            with os.scandir(folder) as listed:
                entries = sorted(islice(listed, MAX_ENTRIES + 1), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            self._last[folder] = _FolderScan()
            self._last[folder].skip(folder.name, "this plugin folder does not exist")
            return self._last[folder]
        except OSError as error:
            scanned = self._last.setdefault(folder, _FolderScan())
            scanned.skipped = [Skipped(path=folder.name, reason=f"this plugin folder: {_reason(error)}")]
            return scanned
        scanned = self._last[folder] = _FolderScan()
        scanned.folders.add(str(folder))
        if len(entries) > MAX_ENTRIES:
            scanned.skip(folder.name, f"only {MAX_ENTRIES} of its entries are looked at")
        for number, entry in enumerate(entries[:MAX_ENTRIES]):
            if number % 64 == 63:
                time.sleep(0.0002)  # lets the event loop's thread run, which otherwise waits 5 ms for a turn
            self._scan_entry(folder, entry, scanned)
        return scanned

    def _scan_entry(self, folder: Path, entry: os.DirEntry[str], scanned: _FolderScan) -> None:
        name = entry.name.removesuffix(".py")
        if files.ignored(entry.name) or not _may_be_module(folder, entry):
            return
        reason = files.strange(entry) or names.flaw(name)
        if reason:
            scanned.skip(entry.name, reason)
        elif name in scanned.modules or name in scanned.unusable:
            scanned.skip(entry.name, "the package folder of this name counts")
        else:
            try:
                scanned.modules[name] = self._look(f"{folder}/{entry.name}", scanned)
            except FileNotFoundError:
                return  # gone since it was listed
            except (Unusable, OSError) as error:
                scanned.unusable.add(name)
                scanned.skip(entry.name, _reason(error))

    def _look(self, place: str, scanned: _FolderScan) -> Found:
        """The module at this place. Raises Unusable or OSError."""
        folder, _, name = place.rpartition("/")
        if name.endswith(".py"):
            file = files.described(name, os.lstat(place))
            self._check(file, folder)
            return Found(name=name.removesuffix(".py"), place=place, files=(file,))
        tree = files.Tree()
        found: list[File] = []
        size = 0
        for file, _ in tree.walk(place):
            self._check(file, folder)
            found.append(file)
            size += file.size
            if size > self._max_bundle:
                raise Unusable(f"larger than {self._max_bundle} bytes (MAX_BUNDLE_BYTES)")
        if f"{name}/__init__.py" not in {file.path for file in found}:
            raise Unusable("its __init__.py is not a regular file")
        scanned.folders.update(f"{folder}/{inner}" for inner in tree.folders)
        for path, reason in tree.left_out:
            scanned.skip(path, reason)
        return Found(name=name, place=place, files=tuple(found))

    def _check(self, file: File, folder: str) -> None:
        if file.size > self._most(file.path):
            limit = "MAX_SOURCE_BYTES" if file.path.endswith(".py") else "MAX_BUNDLE_BYTES"
            raise Unusable(f"{file.path}: {file.size} bytes, more than {self._most(file.path)} ({limit})")
        if not os.access(f"{folder}/{file.path}", os.R_OK, effective_ids=True):
            raise Unusable(f"{file.path}: {os.strerror(errno.EACCES)}")


class _FolderScan:
    """One plugin folder at one moment."""

    def __init__(self) -> None:
        self.modules: dict[str, Found] = {}
        self.unusable: set[str] = set()
        self.skipped: list[Skipped] = []
        self.folders: set[str] = set()

    def skip(self, path: str, reason: str) -> None:
        self.skipped.append(Skipped(path=files.shown(path), reason=reason))


def _may_be_module(folder: Path, entry: os.DirEntry[str]) -> bool:
    """Whether something is to be taken as a module or skipped with a reason; all else is nobody's business."""
    if entry.name.endswith(".py") or (entry.is_symlink() and "." not in entry.name):
        return True
    place = f"{folder}/{entry.name}"
    return entry.is_dir(follow_symlinks=False) and (
        os.path.lexists(f"{place}/__init__.py") or not os.access(place, os.R_OK | os.X_OK, effective_ids=True)
    )


def _reason(error: Exception) -> str:
    """What went wrong, without the absolute path that OSError puts into its text."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
