"""Environment variables of the admin's functions: which files count, and how changes arrive."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from runner.host import NoEnvironment
from runner.variables import MAX_BYTES, AdminVariables, BadVariables, read

OWN = re.compile("ADMIN_KEY|MONGO_URI")
PATIENCE_SECS = 10


def test_lines_are_variables(tmp_path: Path) -> None:
    file = tmp_path / "plugins.env"
    file.write_text("# a comment\nPLAIN=text\n\nexport SHOWN='with # and spaces'\nEMPTY=\nLAST=a=b\n")
    assert read(file, OWN) == {"PLAIN": "text", "SHOWN": "with # and spaces", "EMPTY": "", "LAST": "a=b"}


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read(tmp_path / "plugins.env", OWN) == {}


def test_nothing_is_filled_in_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URI", "the platform's")
    file = tmp_path / "plugins.env"
    file.write_text("COPY=${MONGO_URI}\n")
    assert read(file, OWN) == {"COPY": "${MONGO_URI}"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"OK=1\nLD_PRELOAD=/tmp/a.so\n", "line 2: LD_PRELOAD changes how programs are loaded: take another name"),
        (b"PATH=/tmp\n", "line 1: PATH changes how"),
        (b"PYTHONSTARTUP=/tmp/a.py\n", "line 1: PYTHONSTARTUP changes how"),
        (b"PYTHONPATH=/tmp\n", "line 1: PYTHONPATH changes how"),
        (b"ADMIN_KEY=secret\n", "line 1: ADMIN_KEY is Plugbay's own: take another name"),
        (b"A-B=1\n", "line 1: a name is letters, digits and _, beginning with no digit"),
        (b"OK=1\nALONE\n", "line 2: it is not NAME=value"),
        (b"OK='never closed\n", "line 1: it is not NAME=value"),
        (b"A=\xff\n", "is not UTF-8: invalid start byte at byte 2"),
        (b"A=b\0c\n", "line 1: A has a NUL in its value"),
        (b"A=" + b"x" * MAX_BYTES, f"has more than {MAX_BYTES} bytes"),
    ],
)
def test_a_file_with_a_wrong_line_is_refused_as_a_whole(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "plugins.env"
    file.write_bytes(content)
    with pytest.raises(BadVariables, match=re.escape(problem)) as raised:
        read(file, OWN)
    assert str(raised.value).startswith(str(file))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["LDAP_URL", "OLD_PATH", "ENV", "MY_PYTHON"])
def test_names_that_only_look_alike_are_taken(tmp_path: Path, name: str) -> None:
    file = tmp_path / "plugins.env"
    file.write_text(f"{name}=1\n")
    assert read(file, OWN) == {name: "1"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "plugins.env"
    file.mkdir()
    with pytest.raises(BadVariables, match=f"{file} cannot be read: Is a directory"):
        read(file, OWN)


async def _until_changed(variables: AdminVariables) -> dict[str, str]:
    changed = asyncio.Event()
    variables.on_change.append(changed.set)
    async with asyncio.timeout(PATIENCE_SECS):
        await changed.wait()
    variables.on_change.remove(changed.set)
    return variables.variables()


async def test_changes_are_taken_up_however_the_file_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "plugins.env"
    variables = AdminVariables(file, OWN, NoEnvironment())
    assert variables.variables() == {}
    variables.start()
    try:
        file.write_text("A=1\n")
        assert await _until_changed(variables) == {"A": "1"}
        (tmp_path / "new").write_text("A=2\nB=3\n")
        (tmp_path / "new").replace(file)
        assert await _until_changed(variables) == {"A": "2", "B": "3"}
        file.unlink()
        assert await _until_changed(variables) == {}
    finally:
        await variables.close()


async def test_a_wrong_change_leaves_what_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "plugins.env"
    file.write_text("A=1\n")
    variables = AdminVariables(file, OWN, NoEnvironment())
    variables.start()
    try:
        file.write_text("A=2\nLD_PRELOAD=x\n")
        async with asyncio.timeout(PATIENCE_SECS):
            while "LD_PRELOAD changes how" not in caplog.text:
                await asyncio.sleep(0.05)
        assert variables.variables() == {"A": "1"}
        file.write_text("A=3\n")
        assert await _until_changed(variables) == {"A": "3"}
    finally:
        await variables.close()
