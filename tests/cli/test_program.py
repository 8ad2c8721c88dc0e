"""Given the program itself, when it is run as people and shells run it, then it behaves like one."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FakePlugbay, Tool

COMMANDS = ("new", "dir", "call", "logs", "pools", "scale", "settings", "key", "doctor")


def start(*args: str, stdout: int = subprocess.PIPE, **environ: str) -> subprocess.Popen[bytes]:
    """Starts the tool as the script does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PLUGBAY_TEST_RUN") if name in os.environ}
    command = [sys.executable, "-P", "-m", "cli", *args]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=kept | environ)


def test_every_command_has_help_and_json(tool: Tool) -> None:
    for command in COMMANDS:
        done = tool(command, "--help", TERM="dumb")
        assert done.exit_code == 0
        assert "--json" in done.stdout


def test_version(tool: Tool) -> None:
    assert re.fullmatch(r"plugbay \d+\.\d+\.\d+\n", tool("--version").stdout)


def test_usage_errors_are_exit_code_2(tool: Tool) -> None:
    assert [tool(*args).exit_code for args in (["no-such"], ["scale", "admin", "many"], ["call"])] == [2, 2, 2]


def test_key_is_shown_by_its_command(tool: Tool) -> None:
    assert tool("key", ADMIN_KEY="a-secret-of-this-test").stdout == "a-secret-of-this-test\n"
    assert json.loads(tool("key", "--json", ADMIN_KEY="a-secret").stdout) == {"ADMIN_KEY": "a-secret"}


def test_completion_is_for_plugbay() -> None:
    shell = start(_PLUGBAY_COMPLETE="complete_bash", COMP_WORDS="plugbay s", COMP_CWORD="1")
    assert shell.communicate(timeout=30)[0].split() == [b"scale", b"settings", b"store"]


def test_help_loads_neither_http_nor_settings() -> None:
    code = "import sys; from cli.app import app; print({'httpx', 'settings', 'msgspec'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_it_does_not_run_what_lies_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('not this one')")
    command = [sys.executable, "-P", "-m", "cli", "--version"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=True)


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal_unless_not_wanted(plugbay: FakePlugbay, environ: dict[str, str], coloured: bool) -> None:
    plugbay.answers_json("GET", "/rest/services/a/", {"a": 1})
    reading, writing = pty.openpty()
    tool = start("call", "a/", PLUGBAY_URL=plugbay.url, TERM="xterm-256color", stdout=writing, **environ)
    os.close(writing)
    assert tool.wait(30) == 0
    shown = os.read(reading, 65536)
    os.close(reading)
    assert b'"a"' in re.sub(rb"\x1b\[[0-9;]*m", b"", shown)
    assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]", shown)) == coloured


def test_ctrl_c_ends_following_quietly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tool = start("logs", "-f", PLUGBAY_URL=f"http://127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            record = {"time": 0, "call": "c", "module": "m", "api": "a", "outcome": "VALUE", "status": 200}
            line = json.dumps(record | {"text": "", "truncated": False, "run_ms": 0}).encode() + b"\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(line), line))
            assert tool.stdout is not None
            assert b"m/a" in tool.stdout.readline()
            tool.send_signal(signal.SIGINT)
            _, said = tool.communicate(timeout=30)
    assert (tool.returncode, said) == (130, b"")


def test_a_stream_that_breaks_is_not_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tool = start("logs", "-f", PLUGBAY_URL=f"http://127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.close()
        _, said = tool.communicate(timeout=30)
    assert tool.returncode == 3
    assert b"failed" in said


def test_what_no_terminal_can_show_is_spelled_out(plugbay: FakePlugbay) -> None:
    plugbay.answers_bytes("GET", "/rest/services/a/", b'"\\ud800 \xe2\x9c\x93"', "application/json")
    tool = start("call", "a/", PLUGBAY_URL=plugbay.url, PYTHONIOENCODING="ascii")
    shown, _ = tool.communicate(timeout=30)
    assert (tool.returncode, shown) == (0, b'"\\ud800 \\u2713"\n')
