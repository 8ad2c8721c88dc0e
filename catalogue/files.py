"""Listing and reading files that may be anything, or become anything while they are read.

Only regular files below the given folder are ever opened for reading: no link is followed, no FIFO or
device blocks, and nothing is read beyond its bound.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

MAX_FILES: Final = 5000
"""Files of one package."""

MAX_DEPTH: Final = 32
"""Folders inside one another in a package."""

_IGNORED_NAMES: Final = frozenset({"__pycache__", "4913"})
"""4913: the file with which vim tries out whether it may write."""

_IGNORED_ENDS: Final = (".pyc", ".pyo", "~", "#", ".tmp", ".swp", "___jb_tmp___", "___jb_old___")


class Unusable(Exception):
    """A file or package cannot be taken as it is; the message says why, without an absolute path."""


class File(NamedTuple):
    """A regular file as it was listed. Two that compare equal hold the same, as far as the file system tells."""

    path: str
    """Relative to the module's place, with `/`."""
    size: int
    modified: int
    """Nanoseconds since 1970."""
    changed: int
    """The same of its inode, which programs that restore modification times leave alone."""
    inode: int


def ignored(name: str) -> bool:
    """Whether a file or folder of this name is no part of a module: hidden, compiled, or an editor's own."""
    return name.startswith(".") or name in _IGNORED_NAMES or name.endswith(_IGNORED_ENDS)


def shown(path: str) -> str:
    """A path as text that can be shown, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def described(path: str, status: os.stat_result) -> File:
    """The File of what was found at `path`. Raises Unusable when that is no regular file."""
    if not stat.S_ISREG(status.st_mode):
        raise Unusable("not a regular file")
    return File(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Tree:
    """One package folder: what is in it, and what had to be left out."""

    def __init__(self) -> None:
        self.left_out: list[tuple[str, str]] = []
        """Path and reason."""
        self.folders: list[str] = []
        """Of the package, relative like the paths of its files."""
        self._count = 0

    def walk(self, folder: str) -> Iterator[tuple[File, int]]:
        """Its files in a fixed order, each with an open descriptor of the folder it is in.

        Raises Unusable above a bound, and OSError.
        """
        with _opened_folder(folder, None) as descriptor:
            yield from self._walk(descriptor, folder.rpartition("/")[2], 1)

    def _walk(self, folder: int, path: str, depth: int) -> Iterator[tuple[File, int]]:
        if depth > MAX_DEPTH:
            raise Unusable(f"more than {MAX_DEPTH} folders inside one another")
        self.folders.append(path)
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
        for entry in entries:
            if ignored(entry.name):
                continue
            self._count += 1
            if self._count > MAX_FILES:
                raise Unusable(f"more than {MAX_FILES} files")
            below = f"{path}/{entry.name}"
            if reason := strange(entry):
                self.left_out.append((below, reason))
            elif entry.is_dir(follow_symlinks=False):
                with _opened_folder(entry.name, folder) as descriptor:
                    yield from self._walk(descriptor, below, depth + 1)
            else:
                yield described(below, entry.stat(follow_symlinks=False)), folder


def strange(entry: os.DirEntry[str]) -> str:
    """Why an entry is never read; empty for regular files and folders."""
    if entry.is_symlink():
        return "a symbolic link"
    if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
        return "not a regular file"
    return "" if shown(entry.name) == entry.name else "its name is not UTF-8"


@contextmanager
def _opened_folder(name: str, folder: int | None) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(name: str, most: int, folder: int | None = None) -> bytes:
    """What a regular file holds. Raises Unusable when it is none or holds more than `most` bytes, and OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable("not a regular file")
        content = bytearray()
        while len(content) <= most and (part := os.read(descriptor, most + 1 - len(content))):
            content += part
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise Unusable(f"larger than {most} bytes")
    return bytes(content)
