"""What others wrote is here as they published it, with its licence."""

from __future__ import annotations

import hashlib
import json

from tests.docs.markdown import ROOT

FOLDER = ROOT / "browser" / "libsodium"
ABOUT = json.loads((FOLDER / "vendored.json").read_text(encoding="utf-8"))


def test_every_file_is_the_one_of_the_package() -> None:
    digests = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in ABOUT["files"]}
    assert digests == {name: file["sha256"] for name, file in ABOUT["files"].items()}


def test_there_is_nothing_else() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {"vendored.json", *ABOUT["files"]}


def test_its_licence_is_there() -> None:
    assert ABOUT["licence"] == "ISC"
    assert "Permission to use, copy, modify" in (FOLDER / "LICENSE").read_text(encoding="utf-8")


def test_it_is_webassembly() -> None:
    assert b"WebAssembly.instantiate" in (FOLDER / "libsodium.mjs").read_bytes()
