"""Rows J12, J13 and E12 of the security requirements: what may lie in a plugin folder, and how much at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.alive import Attacker
from tests.attacks.conftest import PLUGINS
from tests.embedded.server import Embedded, running
from tests.waiting import eventually

MANY = 2000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "ping.py").write_bytes((PLUGINS / "ping.py").read_bytes())
    with running(tmp_path / "plugins", tmp_path / "data") as server:
        yield server


def module(value: int) -> str:
    """A module with one endpoint, `value`."""
    return f"import expose\n@expose.endpoint(API='value')\ndef value():\n    return {value}\n"


def directory(attacker: Attacker) -> dict[str, Any]:
    """What `__dir__` says now."""
    found: dict[str, Any] = attacker.get("/__dir__/").json()
    return found


def test_j12_what_is_no_file_of_its_own_is_skipped_with_a_reason(attacker: Attacker, tmp_path: Path) -> None:
    plugins = attacker.server.plugins
    (plugins / "passwd.py").symlink_to("/etc/passwd")
    (plugins / "whole").symlink_to("/")
    (plugins / "loop.py").symlink_to(plugins / "loop.py")
    (plugins / "up").symlink_to(plugins)
    (plugins / "dangling.py").symlink_to(tmp_path / "nothing")
    os.mkfifo(plugins / "pipe.py")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(plugins / "socket.py"))
        with (plugins / "giant.py").open("wb") as giant:
            giant.truncate(1 << 30)
        (plugins / "device.py").symlink_to("/dev/zero")
        package = plugins / "package"
        package.mkdir()
        (package / "__init__.py").write_text(module(1))
        (package / "link.py").symlink_to("/etc/passwd")
        os.mkfifo(package / "pipe")
        (plugins / "folder.py").mkdir()
        (plugins / "good.py").write_text(module(2))
        eventually(lambda: attacker.get("/good/value/").status_code == 200)
        eventually(lambda: attacker.get("/package/value/").status_code == 200)
        skipped = {one["path"]: one["reason"] for one in directory(attacker)["skipped"]}
    wanted = {"passwd.py", "whole", "loop.py", "up", "dangling.py", "pipe.py", "socket.py", "giant.py", "device.py"}
    wanted |= {"package/link.py", "package/pipe"}
    # A link to a folder without a module in it is none that was meant as one.
    assert wanted - set(skipped) <= {"whole", "up"}, skipped
    assert all(skipped.values())
    assert set(directory(attacker)["modules"]) == {"ping", "good", "package"}
    assert "root:" not in attacker.get("/__dir__/").text


def test_j12_files_that_become_something_else_while_they_are_read(attacker: Attacker, tmp_path: Path) -> None:
    plugins = attacker.server.plugins
    place, secret = plugins / "changeling.py", tmp_path / "secret.py"
    secret.write_text(module(666))
    for number in range(60):
        new = plugins / ".new"
        if number % 4 == 0:
            new.write_text(module(number))
        elif number % 4 == 1:
            new.symlink_to(secret)
        elif number % 4 == 2:
            os.mkfifo(new)
        else:
            new.write_bytes(b"\0" * 1000)
        new.rename(place)
        answer = attacker.get("/changeling/value/")
        assert "666" not in answer.text
    (plugins / ".new").write_text(module(7))
    (plugins / ".new").rename(place)
    eventually(lambda: '"value":7' in attacker.get("/changeling/value/").text)


def test_e12_names_that_would_collide_or_match_more_than_themselves_are_no_modules(attacker: Attacker) -> None:
    plugins = attacker.server.plugins
    names = [
        "a:b",
        "a*",
        "a?",
        "a\nb",
        "a b",
        "*",
        "__init__",
        "os",
        "msgspec",
        "expose",
        "a-b",
        "A",
        "é",
        "ａ",
        "x" * 200,
    ]
    names += ["--bind", "-c", "$(id)", "`id`", "a;b", "‮txt", "1a", "class", "site", "..."]
    for name in names:
        (plugins / f"{name}.py").write_text(module(1))
    (plugins / os.fsdecode(b"\xff.py")).write_text(module(1))
    eventually(lambda: "cannot be watched" in attacker.server.log)  # but watching goes on
    for number, alias in enumerate(("a:b", "*", "a\\nb", "", "x" * 100, "../x", "%2e", "ａ", "ping")):
        (plugins / f"alias{number}.py").write_text(f'__alias__ = "{alias}"\n' + module(1))
    (plugins / "good.py").write_text(module(2))
    eventually(lambda: '"value":2' in attacker.get("/good/value/").text)
    eventually(lambda: "alias8" in directory(attacker)["modules"])
    found = directory(attacker)
    serving = {name for name, one in found["modules"].items() if one["serves"]}
    assert serving == {"ping", "good", "alias8"}, serving
    assert attacker.get("/ping/ping/").status_code == 200, "a module's name is not another's alias"
    reasons = {one["path"]: one["reason"] for one in found["skipped"]}
    hidden = {name for name in names if name.startswith(".")}
    assert {f"{name}.py" for name in names} - set(reasons) == {f"{name}.py" for name in hidden}
    assert all(problem["text"] for problem in found["problems"])


def test_j13_many_files_at_once_delay_no_call(attacker: Attacker) -> None:
    plugins = attacker.server.plugins
    for number in range(MANY):
        if number % 4:
            (plugins / (f"Not-{number}.py", f"data{number}.txt", f"broken{number}.py")[number % 4 - 1]).write_text("!")
        else:
            (plugins / f"many{number}.py").write_text(module(number))
    eventually(lambda: serving(attacker) == MANY // 4 + 1, 60)
    assert attacker.get(f"/many{MANY - 4}/value/").json()["response"] == {"value": MANY - 4}
    for file in plugins.iterdir():
        if file.name != "ping.py":
            file.unlink()
    eventually(lambda: set(directory(attacker)["modules"]) == {"ping"}, 60)


def serving(attacker: Attacker) -> int:
    """How many modules serve now."""
    return sum(one["serves"] for one in directory(attacker)["modules"].values())
