"""Given a zip archive that was uploaded, when it is unpacked, then only what every reader would find in it is taken."""

from __future__ import annotations

import io
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from catalogue import zip_directory, zipped
from catalogue.zipped import BadZip, TooLarge

KIB = 1024
INIT = b"import expose\n"


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive as Python makes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as writing:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path.replace("\\", "?"))
            entry.filename = path
            entry.external_attr = 0o644 << 16
            writing.writestr(entry, content, method)
    return made.getvalue()


def read(data: bytes, name: str = "shop", max_source: int = 64 * KIB, max_bundle: int = 256 * KIB) -> dict[str, bytes]:
    return zipped.read(data, name, max_source=max_source, max_bundle=max_bundle)


def refused(data: bytes) -> str:
    with pytest.raises(BadZip) as refusal:
        read(data)
    return str(refusal.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("folder", ["", "shop/"])
def test_the_content_of_a_package_or_its_folder_is_taken(method: int, folder: str) -> None:
    files = {"__init__.py": INIT, "prices.csv": b"a,1\n" * 1000, "inner/__init__.py": b"", "vendored/six.py": b"x=1\n"}
    found = read(archive({folder + path: content for path, content in files.items()}, method))
    assert found == {f"shop/{path}": content for path, content in files.items()}


def test_what_plugin_folders_ignore_is_ignored() -> None:
    files = {"__init__.py": INIT, "__pycache__/__init__.cpython-311.pyc": b"\0", ".git/config": b"", "old.py~": b""}
    assert read(archive(files | {"__MACOSX/._x": b""})) == {"shop/__init__.py": INIT}


def test_archives_whose_sizes_stand_behind_the_contents_are_taken() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.written += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("__init__.py", INIT)
        writing.writestr("b.txt", b"b" * 1000)
    assert read(bytes(pipe.written)) == {"shop/__init__.py": INIT, "shop/b.txt": b"b" * 1000}


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/etc/x", "C:\\x", "C:x", "a/../../x", "..\\x", "a\\b", "a//b", "./a", "a/./b", "a/..", "/"),
        *("a\nb", "a\u202eb", "a\u200bb", "e\u0301", "x" * 300, "d/" * 33 + "x", "a\x01"),
    ],
)
def test_j1_paths_that_are_not_plain_are_refused(path: str) -> None:
    assert refused(archive({"__init__.py": INIT, path: b""}))


def test_j1_a_nul_in_a_path_is_refused() -> None:
    data = archive({"__init__.py": INIT, "aXb": b""}).replace(b"aXb", b"a\0b")
    assert "can be seen" in refused(data)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_j2_links_devices_and_pipes_are_refused(kind: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as writing:
        writing.writestr("__init__.py", INIT)
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (kind | 0o777) << 16
        writing.writestr(entry, "/etc/passwd")
    assert "a link, device or pipe" in refused(made.getvalue())


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (("a", "a/b"), "a file and a folder at once"),
        (("a/b", "a"), "a file and a folder at once"),
        (("a/", "a"), "a file and a folder at once"),
        (("a.txt", "A.txt"), "upper and lower case"),
        (("d/a", "D/b"), "upper and lower case"),
        (("straße", "STRASSE"), "upper and lower case"),
    ],
)
def test_j2_j4_two_paths_that_are_one_are_refused(paths: tuple[str, ...], why: str) -> None:
    assert why in refused(archive({"__init__.py": INIT} | dict.fromkeys(paths, b"")))


def test_j4_duplicate_names_are_refused() -> None:
    data = archive({"__init__.py": INIT, "one": b"1", "two": b"2"}).replace(b"two", b"one")
    assert "twice" in refused(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_j4_other_compressions_are_refused(method: int) -> None:
    assert "only stored and deflated" in refused(archive({"__init__.py": INIT}, method))


def patched(data: bytes, central: int, local: int, form: str, value: int) -> bytes:
    """The archive of one file with a field of its two headers changed, at these offsets; -1: not there."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\1\2", central), (b"PK\3\4", local)):
        if offset >= 0:
            struct.pack_into(form, changed, data.index(signature) + offset, value)
    return bytes(changed)


@pytest.mark.parametrize("flag", [0x1, 0x20, 0x40, 0x2000])
def test_j4_encrypted_and_patched_files_are_refused(flag: int) -> None:
    assert refused(patched(archive({"__init__.py": INIT}), 8, 6, "<H", flag))


@pytest.mark.parametrize("size", [0, 1, len(INIT) - 1, len(INIT) + 1, 200 * KIB])
def test_j3_sizes_that_lie_are_refused(size: int) -> None:
    data = archive({"__init__.py": INIT})
    for local in (22, -1):
        with pytest.raises((BadZip, TooLarge)):
            read(patched(data, 24, local, "<L", size))


def test_a_wrong_checksum_is_refused() -> None:
    assert "damaged" in refused(patched(archive({"__init__.py": INIT}), 16, 14, "<L", 1))


def test_headers_that_name_different_files_are_refused() -> None:
    data = archive({"__init__.py": INIT, "a.txt": b""})
    assert "directory" in refused(data.replace(b"a.txt", b"b.txt", 1))


def test_j4_polyglots_are_refused() -> None:
    data = archive({"__init__.py": INIT})
    assert "before it" in refused(b"#!/usr/bin/python\n" + data)
    assert "behind it" in refused(data + b"\nprint('hi')\n")
    assert "behind it" in refused(data[:-2] + b"\x03\x00abc")
    assert refused(b"PK\3\4" + data)
    assert refused(data + data)


def test_something_between_the_files_is_refused() -> None:
    data = archive({"__init__.py": INIT})
    at = data.index(b"PK\1\2")
    moved = bytearray(data[:at] + b"hidden" + data[at:])
    struct.pack_into("<L", moved, len(moved) - 6, at + 6)
    assert "do not end where" in refused(bytes(moved))


def test_something_behind_what_is_inflated_is_refused() -> None:
    data = archive({"__init__.py": INIT})
    at = data.index(b"PK\1\2")
    (packed,) = struct.unpack_from("<L", data, at + 20)
    longer = bytearray(data[:at] + b"hidden" + data[at:])
    struct.pack_into("<L", longer, 18, packed + 6)
    struct.pack_into("<L", longer, at + 6 + 20, packed + 6)
    struct.pack_into("<L", longer, len(longer) - 6, at + 6)
    assert "more or less" in refused(bytes(longer))


def test_j3_overlapping_files_are_refused_before_anything_is_inflated() -> None:
    """As in CVE-2024-0450: every entry of the directory names the same content."""
    data = archive({"__init__.py": INIT, "big": b"\0" * 100_000})
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    entry = data[at : data.index(b"PK\5\6")]
    start = data.index(b"PK\1\2")
    twins = entry + b"".join(entry.replace(b"big", f"b{number:02}".encode()) for number in range(49))
    directory = data[start:at] + twins
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 51, 51, len(directory), start, 0)
    assert "overlaps" in refused(data[:start] + directory + end)


def test_j3_more_files_than_a_package_may_have_are_refused() -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 0, 0, 0)
    assert "5000" in refused(end)


def test_j4_many_disks_and_the_64_bit_form_are_refused() -> None:
    data = archive({"__init__.py": INIT})
    assert "parts" in refused(data[:-18] + b"\1\0" + data[-16:])
    assert "64-bit" in refused(patched(data, 24, -1, "<L", 0xFFFFFFFF))


@pytest.mark.parametrize(
    "path", ["sitecustomize.py", "a/usercustomize.py", "vendored/x.pth", "fast.so", "fast.so.1", "x.PYD", "y.dll"]
)
def test_j7_what_runs_unasked_or_is_compiled_is_refused(path: str) -> None:
    assert path.rpartition("/")[2] in refused(archive({"__init__.py": INIT, path: b""}))


def test_a_bundle_without_its_package_is_refused() -> None:
    assert "__init__.py" in refused(archive({"shop.py": INIT}))
    assert "__init__.py" in refused(archive({"other/__init__.py": INIT}))
    assert "__init__.py" in refused(archive({"shop/__init__.py": INIT, "beside.txt": b""}))
    assert "__init__.py" in refused(archive({}))


def test_j3_too_much_is_refused_before_it_is_inflated() -> None:
    with pytest.raises(TooLarge, match="MAX_BUNDLE_BYTES"):
        read(archive({"__init__.py": INIT, "big": b"\0" * 300 * KIB}))
    with pytest.raises(TooLarge, match="MAX_BUNDLE_BYTES"):
        read(archive({"__init__.py": INIT} | {f"b{number}": b"\0" * 20 * KIB for number in range(20)}))
    with pytest.raises(TooLarge, match="MAX_SOURCE_BYTES"):
        read(archive({"__init__.py": b"#" * 65 * KIB}))


def test_cut_off_anywhere_it_is_refused() -> None:
    data = archive({"__init__.py": INIT, "b": b"b" * 50})
    for end in range(len(data)):
        assert refused(data[:end])


def test_every_changed_byte_is_refused_or_changes_nothing_that_is_read() -> None:
    data = archive({"__init__.py": INIT, "bb": b"b" * 50})
    right = read(data)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        try:
            found = read(bytes(changed))
        except (BadZip, TooLarge):
            continue
        assert set(found.values()) == set(right.values())


BOMB = """
import resource, sys, zlib
from catalogue import zipped
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    zipped.read(data, "shop", max_source=65536, max_bundle=1 << 20)
except (zipped.BadZip, zipped.TooLarge) as error:
    print(type(error).__name__, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_j3_a_bomb_that_lies_about_its_size_takes_no_memory(tmp_path: Path) -> None:
    content = b"\0" * 200 * KIB * KIB
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packing.compress(content) + packing.flush()
    data = archive({"__init__.py": INIT, "b": b""}, zipfile.ZIP_STORED)
    first = data.index(b"PK\3\4", 4)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, zlib.crc32(content), len(packed), 1000, 1, 0) + b"b"
    body = data[:first] + local + packed
    directory = data[data.index(b"PK\1\2") : data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)]
    directory += struct.pack(
        "<4s6H3L5H2L",
        *(b"PK\1\2", 20, 20, 0, 8, 0, 33, zlib.crc32(content), len(packed), 1000, 1, 0, 0, 0, 0, 0, first),
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory + b"b"), len(body), 0)
    bomb = tmp_path / "bomb.zip"
    bomb.write_bytes(body + directory + b"b" + end)
    assert [entry.path for entry in zip_directory.read(bomb.read_bytes())] == ["__init__.py", "b"]
    told = subprocess.run([sys.executable, "-c", BOMB, bomb], capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == "BadZip"
    assert int(told[1]) < 8 * KIB
