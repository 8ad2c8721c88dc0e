"""The directory of a zip archive, read so strictly that every other reader would find the same files in it.

Taken is the form that common programs write: one archive from the first byte to the last, on one disk, its files
one behind the other without gaps, stored or deflated. So nothing overlaps, nothing hides before, between or behind
the files, and what the directory says is what stands with the files. Nothing is inflated here.
"""

from __future__ import annotations

import stat
from struct import Struct, error
from typing import Final, NamedTuple

from catalogue import files

STORED: Final = 0
DEFLATED: Final = 8

_END: Final = Struct("<4s4H2LH")
_ENTRY: Final = Struct("<4sH2x2H4x3L4H2x2L")
_LOCAL: Final = Struct("<4s2x2H4x3L2H")
_ENCRYPTED: Final = 0x2041
"""Flags: encrypted, strongly encrypted, with a masked directory."""
_SIZES_BEHIND: Final = 0x8
_TAKEN_FLAGS: Final = 0x6 | _SIZES_BEHIND | 0x800
"""How hard it was compressed, sizes behind the content, names in UTF-8."""
_DESCRIPTORS: Final = {
    size + 4 * signed: Struct(("<4s" if signed else "<") + form)
    for size, form in ((12, "3L"), (20, "L2Q"))
    for signed in (False, True)
}
"""What may stand behind a content, by its length: CRC and both sizes, with or without a signature before them."""


class BadZip(Exception):
    """It is no archive that is taken; the message names the rule."""


class Entry(NamedTuple):
    """One file of an archive."""

    path: str
    """As it is written; not checked yet."""
    method: int
    crc: int
    start: int
    """Where its content begins."""
    packed: int
    """Bytes of it in the archive."""
    size: int
    """Bytes of it, as the archive says."""
    is_folder: bool


def read(data: bytes) -> list[Entry]:
    """The entries of an archive, in the order of their contents. Raises BadZip."""
    try:
        return _read(data)
    except error as cause:
        raise BadZip("the zip archive is cut off or damaged") from cause


def _read(data: bytes) -> list[Entry]:
    if not data.startswith((b"PK\3\4", b"PK\5\6")):
        raise BadZip("a zip archive begins with its first file: nothing may stand before it")
    at = len(data) - _END.size
    signature, disk, first_disk, here, count, length, start, comment = _END.unpack_from(data, max(at, 0))
    if signature != b"PK\5\6" or comment:
        raise BadZip("a zip archive ends with its directory: no comment, and nothing may stand behind it")
    if disk or first_disk or here != count:
        raise BadZip("a zip archive in several parts")
    if count > files.MAX_FILES:
        raise BadZip(f"more than {files.MAX_FILES} files")
    if start + length != at:
        raise BadZip("the directory of the zip archive is not where it says")
    found: list[tuple[int, Entry]] = []
    for _ in range(count):
        entry, begins, start = _entry(data, start, at)
        found.append((begins, entry))
    if start != at:
        raise BadZip("the directory of the zip archive is longer or shorter than it says")
    return _in_order(data, found, at - length)


def _entry(data: bytes, at: int, end: int) -> tuple[Entry, int, int]:
    """The entry of the directory at this place, where its local one begins, and where the next one does."""
    signature, made_by, flags, method, crc, packed, size, *lengths = _ENTRY.unpack_from(data, at)
    name_size, extra, comment, disk, attributes, begins = lengths
    behind = at + _ENTRY.size + name_size + extra + comment
    if signature != b"PK\1\2" or behind > end:
        raise BadZip("the directory of the zip archive is damaged")
    path = _path(data[at + _ENTRY.size :][:name_size] if name_size < 1024 else b"", flags)
    shown = ascii(path[:100])
    if flags & _ENCRYPTED or method == 99:
        raise BadZip(f"{shown} is encrypted")
    if flags & ~_TAKEN_FLAGS:
        raise BadZip(f"{shown} is packed in a way that is not taken (flags {flags:#06x})")
    if method not in (STORED, DEFLATED):
        raise BadZip(f"{shown} is compressed by method {method}: only stored and deflated files are taken")
    if disk:
        raise BadZip("a zip archive in several parts")
    if 0xFFFFFFFF in (packed, size, begins):
        raise BadZip("a zip archive of the 64-bit form: a bundle is far smaller")
    mode = attributes >> 16 if made_by >> 8 == 3 else 0  # 3: Unix; others keep no mode there
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadZip(f"{shown} is a link, device or pipe: a bundle holds files alone")
    is_folder = path.endswith("/")
    if mode and stat.S_IFMT(mode) and stat.S_ISDIR(mode) is not is_folder:
        raise BadZip(f"{shown} is a file and a folder at once")
    if is_folder and (size or packed > 2):  # deflated, nothing is two bytes
        raise BadZip(f"{shown} is a folder with content")
    return Entry(path, method, crc, 0, packed, size, is_folder), begins, behind


def _path(name: bytes, flags: int) -> str:
    if not name:
        raise BadZip("a file without a name, or with one of 1,024 bytes or more")
    try:
        return name.decode("utf-8" if flags & 0x800 else "ascii")
    except UnicodeDecodeError as error:
        raise BadZip(f"the name {name[:100]!a} is not marked as UTF-8, or is none") from error


def _in_order(data: bytes, found: list[tuple[int, Entry]], end: int) -> list[Entry]:
    """The entries with the places of their contents. Raises BadZip unless they lie one behind the other up to `end`."""
    found.sort(key=lambda one: one[0])
    placed: list[Entry] = []
    reached = 0
    for number, (begins, entry) in enumerate(found):
        shown = ascii(entry.path[:100])
        if begins != reached:
            raise BadZip(f"{shown} overlaps another file, or something lies between them")
        signature, flags, method, crc, packed, size, name_size, extra = _LOCAL.unpack_from(data, begins)
        start = begins + _LOCAL.size + name_size + extra
        name = data[begins + _LOCAL.size :][:name_size] if name_size < 1024 else b""
        told = (crc, packed, size)
        behind = bool(flags & _SIZES_BEHIND)
        if (
            signature != b"PK\3\4"
            or _path(name, flags) != entry.path
            or flags & ~_TAKEN_FLAGS
            or method != entry.method
            or (told != (entry.crc, entry.packed, entry.size) and not (behind and told == (0, 0, 0)))
        ):
            raise BadZip(f"{shown} is not what the directory of the zip archive says")
        reached = start + entry.packed
        following = found[number + 1][0] if number + 1 < len(found) else end
        if behind and following != reached:
            reached += _descriptor(data[reached:following] if following - reached <= 24 else b"", entry)
        placed.append(entry._replace(start=start))
    if reached != end:
        raise BadZip("the files of the zip archive do not end where its directory begins")
    return placed


def _descriptor(behind: bytes, entry: Entry) -> int:
    """Length of what stands behind a content. Raises BadZip unless it says the same as the directory."""
    form = _DESCRIPTORS.get(len(behind))
    told = form.unpack(behind) if form else ()
    if told[-3:] != (entry.crc, entry.packed, entry.size) or (len(told) == 4 and told[0] != b"PK\7\10"):
        raise BadZip(f"{entry.path[:100]!a} overlaps another file, or something lies behind it")
    return len(behind)
