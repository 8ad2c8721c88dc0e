"""A package that comes as a zip archive: its paths judged, its files inflated, with a bound on both.

What is inflated is counted while it is, and never more than the archive says it holds, of which the sum is
bounded before: an archive that lies is refused where its lie ends, not where its content would.
"""

from __future__ import annotations

import unicodedata
import zlib
from typing import Final

from catalogue import files, zip_directory
from catalogue.zip_directory import STORED, BadZip, Entry

__all__ = ["BadZip", "TooLarge", "read", "shown"]

MAX_PATH: Final = 255
"""Bytes of a path in a bundle, in UTF-8."""
_COMPILED: Final = (".so", ".pyd", ".dll", ".dylib")
_RUN_UNASKED: Final = ("sitecustomize.py", "usercustomize.py")


class TooLarge(Exception):
    """The archive holds more than a bundle may; the message names the setting."""


def read(data: bytes, name: str, *, max_source: int, max_bundle: int) -> dict[str, bytes]:
    """The files of package `name` for `calls.bundle.pack`, each below `<name>/`. Raises BadZip or TooLarge.

    The archive holds the content of the package's folder, or that folder alone.
    """
    entries = zip_directory.read(data)
    _check_paths([entry.path for entry in entries])
    taken = [entry for entry in entries if not entry.is_folder and not _ignored(entry.path)]
    inside = f"{name}/"
    prefix = "" if all(entry.path.startswith(inside) for entry in taken) else inside
    if f"{inside}__init__.py" not in {prefix + entry.path for entry in taken}:
        raise BadZip("the bundle has no __init__.py: it holds the content of a package's folder, or that folder alone")
    for entry in taken:
        _check_kind(entry.path)
        if entry.path.endswith(".py") and entry.size > max_source:
            raise TooLarge(f"{shown(entry.path)} has more than {max_source} bytes (MAX_SOURCE_BYTES)")
    if sum(entry.size for entry in entries) > max_bundle:
        raise TooLarge(f"the bundle holds more than {max_bundle} bytes (MAX_BUNDLE_BYTES)")
    return {prefix + entry.path: _content(data, entry) for entry in taken}


def shown(path: str) -> str:
    """A path for a message, whatever it is made of."""
    return ascii(path if len(path) <= 100 else f"{path[:99]}…")


def _ignored(path: str) -> bool:
    """Whether it is no part of a module, as in plugin folders: hidden, compiled, or an editor's own."""
    return any(files.ignored(part) for part in path.split("/"))


def _check_paths(paths: list[str]) -> None:
    """Raises BadZip when a path is not a plain one, or two of them are one for some file system."""
    taken: dict[str, tuple[str, bool]] = {}
    for path in paths:
        if flaw := _path_flaw(path):
            raise BadZip(f"{shown(path)}: {flaw}")
        parts = path.rstrip("/").split("/")
        for end in range(1, len(parts) + 1):
            whole = "/".join(parts[:end])
            is_file = end == len(parts) and not path.endswith("/")
            there = taken.setdefault(whole.casefold(), (whole, is_file))
            if there[0] != whole:
                raise BadZip(f"{shown(path)}: differs from {shown(there[0])} by upper and lower case alone")
            if there[1] is not is_file:
                raise BadZip(f"{shown(whole)}: is a file and a folder at once")
    if len(set(paths)) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise BadZip(f"{shown(twice)}: stands in the archive twice")


def _path_flaw(path: str) -> str:
    """Which rule a path breaks; empty when none."""
    if len(path.encode()) > MAX_PATH:
        return f"a path has at most {MAX_PATH} bytes"
    if "\\" in path or ":" in path:
        return "a path has no '\\' and no ':'"
    if not path.isprintable() or unicodedata.normalize("NFC", path) != path:
        return "a path has only characters that can be seen, in their composed form (NFC)"
    parts = path.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "a path is relative and has no '.', '..' or empty part"
    if len(parts) > files.MAX_DEPTH:
        return f"more than {files.MAX_DEPTH} folders inside one another"
    return ""


def _check_kind(path: str) -> None:
    """Raises BadZip for what would run unasked, or is no Python."""
    file = path.rpartition("/")[2].lower()
    if file.endswith(".pth") or file in _RUN_UNASKED:
        raise BadZip(f"{shown(path)}: Python runs such a file unasked; a bundle holds none")
    if file.endswith(_COMPILED) or ".so." in file:
        raise BadZip(f"{shown(path)}: compiled code; a bundle holds Python and data")


def _content(data: bytes, entry: Entry) -> bytes:
    """What a file holds. Raises BadZip when that is not what the archive says."""
    packed = memoryview(data)[entry.start : entry.start + entry.packed]
    content = bytes(packed) if entry.method == STORED else _inflated(packed, entry)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise BadZip(f"{shown(entry.path)} is damaged, or not what the archive says")
    return content


def _inflated(packed: memoryview, entry: Entry) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than there may be: then it is seen to be too many.
        content = inflating.decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise BadZip(f"{shown(entry.path)} is damaged") from error
    if not inflating.eof or inflating.unused_data:
        raise BadZip(f"{shown(entry.path)} holds more or less than the archive says")
    return content
