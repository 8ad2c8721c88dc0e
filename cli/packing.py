"""A module of this machine as it is uploaded: one source, or a package folder as a zip archive."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from cli.problem import USAGE, Problem

MAX_PACKED_BYTES: Final = 64 * 1024 * 1024
"""What is read of a package at most; the server takes less."""
_MADE: Final = (1980, 1, 1, 0, 0, 0)
"""When every file was made: the same files give the same archive."""


class Packed(NamedTuple):
    """What is uploaded."""

    name: str
    data: bytes
    media_type: str
    left_out: list[str]
    """What of a package is not taken, and why."""


def pack(path: Path) -> Packed:
    """The module at this path. Raises Problem when it is none or cannot be read."""
    try:
        place = path.resolve(strict=True)
        if place.is_dir():
            return _package(place)
        return Packed(place.name.removesuffix(".py"), place.read_bytes(), "text/x-python", [])
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}", USAGE) from error


def files(data: bytes, name: str) -> dict[str, bytes]:
    """The files of a package as the server sends it, by their paths. Raises Problem when it is not one."""
    from catalogue import zipped

    try:
        return zipped.read(data, name, max_source=MAX_PACKED_BYTES, max_bundle=MAX_PACKED_BYTES)
    except (zipped.BadZip, zipped.TooLarge) as error:
        raise Problem(f"What the server sent is no package: {error}") from error


def unpack(data: bytes, name: str, folder: Path) -> list[Path]:
    """Writes the files of a package below `folder`, and gives them. Raises Problem, also when one is there already."""
    return [write(folder / path, content) for path, content in sorted(files(data, name).items())]


def write(path: Path, content: bytes) -> Path:
    """Writes a new file, with the folders it is in. Raises Problem."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise Problem(f"{path} is there already: nothing is written over it", USAGE) from error
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}", USAGE) from error
    return path


def _package(folder: Path) -> Packed:
    from catalogue.files import Tree, Unusable, read

    tree = Tree()
    made = io.BytesIO()
    left = MAX_PACKED_BYTES
    try:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
            for file, inside in tree.walk(str(folder)):
                content = read(file.path.rpartition("/")[2], left, inside)
                left -= len(content)
                entry = zipfile.ZipInfo(file.path.partition("/")[2], _MADE)  # within the folder, whatever its name
                entry.external_attr = 0o644 << 16
                writing.writestr(entry, content, zipfile.ZIP_DEFLATED)
    except Unusable as error:
        raise Problem(f"{folder}: {error}", USAGE) from error
    left_out = [f"{path}: {reason}" for path, reason in tree.left_out]
    return Packed(folder.name, made.getvalue(), "application/zip", left_out)
