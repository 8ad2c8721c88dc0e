"""Plugin folders that hold modules, and everything else that a folder can hold."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue.files import MAX_DEPTH, Unusable
from catalogue.folder import MAX_SKIPPED, Folders, Scan
from catalogue.names import RESERVED
from settings import ROOT

SOURCE = 1000
BUNDLE = 5000


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


@pytest.fixture
def folders(plugins: Path) -> Folders:
    return Folders([plugins], max_source=SOURCE, max_bundle=BUNDLE, max_modules=50)


def put(place: Path, content: str | bytes = "x = 1\n") -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def skipped(scan: Scan) -> dict[str, str]:
    return {one.path: one.reason for one in scan.skipped}


def content(folders: Folders, name: str) -> dict[str, bytes]:
    return folders.read(folders.scan().modules[name])


def test_files_and_package_folders_are_modules(folders: Folders, plugins: Path) -> None:
    put(plugins / "one.py", "a = 1\n")
    put(plugins / "pack/__init__.py", "b = 2\n")
    put(plugins / "pack/data/table.csv", "1;2\n")
    put(plugins / "pack/inner/deep.py", "c = 3\n")
    scan = folders.scan()
    assert list(scan.modules) == ["one", "pack"]
    assert scan.skipped == ()
    assert content(folders, "one") == {"one.py": b"a = 1\n"}
    assert content(folders, "pack") == {
        "pack/__init__.py": b"b = 2\n",
        "pack/data/table.csv": b"1;2\n",
        "pack/inner/deep.py": b"c = 3\n",
    }
    assert scan.folders == {str(plugins / part) for part in (".", "pack", "pack/data", "pack/inner")} | {str(plugins)}


def test_what_is_no_module_is_nobodys_business(folders: Folders, plugins: Path) -> None:
    for name in (
        *("requirements.txt", "README.md", "data.json", "script.sh", "nopackage/data.txt", "nopackage/x.py"),
        *(".hidden.py", ".git/config", "__pycache__/one.cpython-311.pyc", "one.pyc", ".#one.py", "#one.py#"),
        *("one.py~", ".one.py.swp", "4913", "one.py.tmp", "one.py___jb_tmp___", "no_extension"),
    ):
        put(plugins / name)
    os.mkfifo(plugins / "fifo")
    assert (folders.scan().modules, folders.scan().skipped) == ({}, ())


def test_compiled_hidden_and_temporary_files_are_no_part_of_a_package(folders: Folders, plugins: Path) -> None:
    put(plugins / "pack/__init__.py")
    for name in ("__pycache__/x.pyc", "x.pyc", ".env", ".git/config", "a.py~", "#a.py#", "b.tmp", "sub/.x.swp", "4913"):
        put(plugins / "pack" / name)
    assert list(content(folders, "pack")) == ["pack/__init__.py"]
    assert folders.scan().skipped == ()


@pytest.mark.parametrize(
    "name",
    [
        *("os", "sys", "builtins", "json", "expose", "vyperlogix", "calls", "runner", "msgspec", "test"),
        *("site", "sitecustomize", "usercustomize", "conftest", "class", "import", "__main__", "__init__"),
        *(
            "Upper",
            "a-b",
            "a.b",
            "1a",
            "_private",
            "café",
            "ｎame",
            "a\u202eb",
            "x" * 64,
            "a b",
            "--bind",
            "$(id)",
            "`id`",
        ),
    ],
)
def test_a_name_that_breaks_a_rule_is_skipped_with_the_rule(folders: Folders, plugins: Path, name: str) -> None:
    put(plugins / f"{name}.py")
    put(plugins / name / "__init__.py")
    scan = folders.scan()
    assert scan.modules == {}
    reasons = skipped(scan)
    assert reasons.keys() == {f"{name}.py", name}
    for reason in reasons.values():
        assert "lower-case letter" in reason or "keyword" in reason or "reserved" in reason


def test_every_module_of_python_is_reserved() -> None:
    assert sys.stdlib_module_names <= RESERVED


def test_links_are_skipped_wherever_they_lead(folders: Folders, plugins: Path, tmp_path: Path) -> None:
    put(tmp_path / "outside.py")
    put(tmp_path / "outside/__init__.py")
    put(plugins / "real.py")
    (plugins / "passwd.py").symlink_to("/etc/passwd")
    (plugins / "outside.py").symlink_to(tmp_path / "outside.py")
    (plugins / "sibling.py").symlink_to("real.py")
    (plugins / "dangling.py").symlink_to("nowhere")
    (plugins / "loop.py").symlink_to("loop.py")
    (plugins / "folder").symlink_to(tmp_path / "outside")
    (plugins / "root").symlink_to("/")
    (plugins / "self").symlink_to(".")
    (plugins / "notes.txt").symlink_to("real.py")
    scan = folders.scan()
    assert list(scan.modules) == ["real"]
    assert skipped(scan) == dict.fromkeys(
        ("passwd.py", "outside.py", "sibling.py", "dangling.py", "loop.py", "folder", "root", "self"),
        "a symbolic link",
    )
    assert scan.folders == {str(plugins)}


def test_links_and_strange_files_in_a_package_are_left_out(folders: Folders, plugins: Path) -> None:
    put(plugins / "pack/__init__.py")
    (plugins / "pack/passwd.txt").symlink_to("/etc/passwd")
    (plugins / "pack/loop").symlink_to("..")
    os.mkfifo(plugins / "pack/fifo")
    assert list(content(folders, "pack")) == ["pack/__init__.py"]
    assert skipped(folders.scan()) == {
        "pack/passwd.txt": "a symbolic link",
        "pack/loop": "a symbolic link",
        "pack/fifo": "not a regular file",
    }


def test_a_package_whose_main_file_is_a_link_is_skipped(folders: Folders, plugins: Path) -> None:
    put(plugins / "pack/other.py")
    (plugins / "pack/__init__.py").symlink_to("other.py")
    scan = folders.scan()
    assert scan.modules == {}
    assert skipped(scan)["pack"] == "its __init__.py is not a regular file"


def test_fifos_sockets_and_devices_are_skipped_without_waiting(
    folders: Folders, plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(plugins / "fifo.py")
    monkeypatch.chdir(plugins)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.py")
    (plugins / "null.py").symlink_to("/dev/null")
    (plugins / "folder.py").mkdir()
    scan = folders.scan()
    assert scan.modules == {}
    assert skipped(scan) == {
        "fifo.py": "not a regular file",
        "socket.py": "not a regular file",
        "null.py": "a symbolic link",
        "folder.py": "not a regular file",
    }


def test_names_that_are_not_text_are_skipped_and_can_be_shown(folders: Folders, plugins: Path) -> None:
    put(plugins / os.fsdecode(b"bad\xff.py"))
    put(plugins / "pack/__init__.py")
    put(plugins / "pack" / os.fsdecode(b"\xfe.txt"))
    scan = folders.scan()
    assert list(content(folders, "pack")) == ["pack/__init__.py"]
    assert skipped(scan) == {"bad\\xff.py": "its name is not UTF-8", "pack/\\xfe.txt": "its name is not UTF-8"}


def test_what_is_too_large_is_skipped_and_known_to_be_there(folders: Folders, plugins: Path) -> None:
    put(plugins / "fits.py", b"#" * SOURCE)
    put(plugins / "large.py", b"#" * (SOURCE + 1))
    with put(plugins / "giant.py").open("r+b") as sparse:
        sparse.truncate(1 << 40)
    put(plugins / "pack/__init__.py")
    put(plugins / "pack/big.bin", b"x" * BUNDLE)
    put(plugins / "source/__init__.py")
    put(plugins / "source/large.py", b"#" * (SOURCE + 1))
    scan = folders.scan()
    assert list(scan.modules) == ["fits"]
    assert scan.unusable == {"large", "giant", "pack", "source"}
    reasons = skipped(scan)
    assert f"{SOURCE + 1} bytes, more than {SOURCE} (MAX_SOURCE_BYTES)" in reasons["large.py"]
    assert "MAX_SOURCE_BYTES" in reasons["giant.py"]
    assert "MAX_BUNDLE_BYTES" in reasons["pack"]
    assert "source/large.py" in reasons["source"]


def test_a_package_of_too_many_files_or_folders_is_skipped(
    folders: Folders, plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.files.MAX_FILES", 100)
    put(plugins / "many/__init__.py")
    for number in range(100):
        (plugins / f"many/{number}.txt").touch()
    put(plugins / "deep/__init__.py")
    put(plugins / "deep" / "/".join("d" * (MAX_DEPTH + 1)) / "x.txt")
    scan = folders.scan()
    assert scan.unusable == {"many", "deep"}
    assert skipped(scan) == {
        "many": "more than 100 files",
        "deep": f"more than {MAX_DEPTH} folders inside one another",
    }


_AS_NOBODY = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from catalogue.folder import Folders
if os.geteuid() == 0:
    os.seteuid(65534)
scan = Folders([Path(sys.argv[1])], max_source=1000, max_bundle=1000, max_modules=10).scan()
print(json.dumps([list(scan.modules), sorted(scan.unusable), {one.path: one.reason for one in scan.skipped}]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_what_cannot_be_read_is_skipped_and_known_to_be_there(open_folder: Path) -> None:
    put(open_folder / "good.py")
    put(open_folder / "secret.py").chmod(0)
    put(open_folder / "pack/__init__.py")
    put(open_folder / "pack/secret.txt").chmod(0)
    put(open_folder / "closed/__init__.py")
    (open_folder / "closed").chmod(0)
    shown = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(open_folder), str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    (open_folder / "closed").chmod(0o755)
    assert shown == (
        '[["good"], ["closed", "pack", "secret"], {"closed": "Permission denied", '
        '"pack": "pack/secret.txt: Permission denied", "secret.py": "secret.py: Permission denied"}]\n'
    )


def test_of_two_modules_with_one_name_the_earlier_folder_wins(plugins: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    put(plugins / "one.py", "first\n")
    put(later / "one.py", "second\n")
    put(later / "two.py")
    folders = Folders([plugins, later], max_source=SOURCE, max_bundle=BUNDLE, max_modules=50)
    assert content(folders, "one") == {"one.py": b"first\n"}
    assert list(folders.scan().modules) == ["one", "two"]
    assert skipped(folders.scan()) == {"one.py": "an earlier plugin folder has a module of this name"}
    put(plugins / "one.py", b"#" * (SOURCE + 1))
    assert list(folders.scan().modules) == ["two"], "a version that is too large hands its name to nobody"


def test_of_a_file_and_a_package_with_one_name_the_package_counts_as_in_python(folders: Folders, plugins: Path) -> None:
    put(plugins / "one.py")
    put(plugins / "one/__init__.py")
    assert folders.scan().modules["one"].place == str(plugins / "one")
    assert skipped(folders.scan()) == {"one.py": "the package folder of this name counts"}


def test_modules_and_skipped_things_are_bounded(folders: Folders, plugins: Path) -> None:
    for number in range(60):
        put(plugins / f"m{number:02}.py")
    for number in range(MAX_SKIPPED):
        put(plugins / f"X{number}.py")
    scan = folders.scan()
    assert list(scan.modules) == [f"m{number:02}" for number in range(50)]
    assert len(scan.skipped) == MAX_SKIPPED + 1
    assert scan.skipped[-1].reason == "10 more are skipped"


def test_a_folder_that_is_not_there_has_nothing(folders: Folders, plugins: Path) -> None:
    put(plugins / "one.py")
    assert list(folders.scan().modules) == ["one"]
    (plugins / "one.py").unlink()
    plugins.rmdir()
    assert folders.scan().modules == {}
    assert skipped(folders.scan()) == {"plugins": "this plugin folder does not exist"}
    put(plugins / "one.py")
    assert list(folders.scan().modules) == ["one"]


def test_every_kind_of_change_is_a_change(folders: Folders, plugins: Path) -> None:
    place = put(plugins / "one.py", "a = 1\n")
    before = folders.scan().modules["one"]
    assert folders.scan().modules["one"] == before
    assert folders.still(before)
    status = place.stat()
    place.write_text("a = 2\n")
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not folders.still(before), "same size, inode and modification time"
    assert folders.scan().modules["one"] != before


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_a_package_changes_with_each_of_its_files(folders: Folders, plugins: Path, change: str) -> None:
    put(plugins / "pack/__init__.py")
    data = put(plugins / "pack/data/x.txt", "1")
    before = folders.scan().modules["pack"]
    if change == "edit":
        data.write_text("22")
    elif change == "add":
        put(plugins / "pack/data/y.txt")
    elif change == "remove":
        data.unlink()
    else:
        data.rename(data.with_name("z.txt"))
    assert not folders.still(before)
    assert folders.scan().modules["pack"] != before


def test_what_was_exchanged_since_it_was_found_is_not_followed(folders: Folders, plugins: Path) -> None:
    for name in ("link", "fifo", "large", "gone", "folder"):
        put(plugins / f"{name}.py")
    put(plugins / "pack/__init__.py")
    put(plugins / "pack/inner/x.txt", "1")
    found = folders.scan().modules
    for name in ("link", "fifo", "gone", "folder"):
        (plugins / f"{name}.py").unlink()
    (plugins / "link.py").symlink_to("/etc/passwd")
    os.mkfifo(plugins / "fifo.py")
    put(plugins / "large.py", b"#" * (SOURCE + 1))
    (plugins / "folder.py").mkdir()
    (plugins / "pack/inner/x.txt").unlink()
    (plugins / "pack/inner").rmdir()
    (plugins / "pack/inner").symlink_to("/etc")
    for name, reason in {
        "link": "Too many levels of symbolic links",
        "fifo": "not a regular file",
        "large": f"larger than {SOURCE} bytes",
        "gone": "No such file or directory",
        "folder": "not a regular file",
    }.items():
        with pytest.raises(Unusable, match=reason):
            folders.read(found[name])
        assert not folders.still(found[name])
    assert list(folders.read(found["pack"])) == ["pack/__init__.py"]


def test_a_package_that_grew_since_it_was_found_is_read_to_its_bound_only(folders: Folders, plugins: Path) -> None:
    put(plugins / "pack/__init__.py")
    found = folders.scan().modules["pack"]
    put(plugins / "pack/a.bin", b"x" * (BUNDLE - 100))
    put(plugins / "pack/b.bin", b"x" * 101)
    with pytest.raises(Unusable):
        folders.read(found)
