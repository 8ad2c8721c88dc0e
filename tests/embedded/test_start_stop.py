"""Starting, stopping, and what is said when that cannot be done."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from embedded.first_start import generate_secrets
from tests.embedded.server import ADMIN_UUID, Embedded, running

SLOW = """
import time
from vyperlogix.decorators import expose

@expose.endpoint(API="slow")
def slow(path: str, secs: float = 1.0):
    open(path, "w").close()
    time.sleep(secs)
    return "finished"
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW)
    return folder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refusal(plugins: Path, tmp_path: Path, **settings: object) -> tuple[int, str]:
    """Exit status and stderr of a start that cannot succeed."""
    server = Embedded(plugins, tmp_path / "data", **settings)
    server.launch()
    status = server.process.wait(30)
    server.stop()
    return status, server.log


def test_the_banner_says_what_is_needed_to_begin(plugins: Path, tmp_path: Path) -> None:
    with running(plugins, tmp_path / "data") as server:
        assert ADMIN_UUID in server.banner
        assert str(plugins) in server.banner
        assert "curl http://127.0.0.1:" in server.banner
        assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_a_taken_port_is_named_with_the_fix(plugins: Path, tmp_path: Path, taken: int) -> None:
    status, said = refusal(plugins, tmp_path, GATEWAY_PORT=taken)
    assert status == 78
    assert said == (
        f"plugbay: GATEWAY_PORT: {taken} is taken on 127.0.0.1: "
        "stop what listens there, or set another (GATEWAY_PORT=8081)\n"
    )


def test_a_missing_folder_is_named_with_the_fix(tmp_path: Path) -> None:
    status, said = refusal(tmp_path / "nowhere", tmp_path)
    assert status == 78
    assert said == f"plugbay: PLUGINS: folder {tmp_path}/nowhere is not there: create it, or name another in .env\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("NUM_URL_PARMS", "-1"),
        ("NUM_URL_PARMS", "many"),
        ("URL_PARM1", "a b"),
        ("MAX_FUNCTION_SECS", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("ADMIN_UUID", "me"),
        ("WARM_WORKERS", "64"),
        ("GATEWAY_HOST", "no.such.host.invalid"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(plugins: Path, tmp_path: Path, name: str, value: str) -> None:
    status, said = refusal(plugins, tmp_path, **{name: value})
    assert (status, said.count("\n")) == (78, 1), said
    assert said.startswith("plugbay: ")
    assert name in said


def test_a_second_platform_on_the_same_data_is_refused(plugins: Path, tmp_path: Path) -> None:
    with running(plugins, tmp_path / "data"):
        other = tmp_path / "other"
        other.mkdir()
        status, said = refusal(other, tmp_path)
        assert status == 78
        assert "data" in said.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_calls_finish_and_leaves_nothing(plugins: Path, tmp_path: Path, number: signal.Signals) -> None:
    server = Embedded(plugins, tmp_path / "data").start()
    started = tmp_path / "started"
    with concurrent.futures.ThreadPoolExecutor() as threads:
        call = threads.submit(server.get, f"/slow/?path={started}")
        while not started.exists() and not call.done():
            pass
        assert server.stop(number) == 0
        assert call.result().json() == {"status": "OK", "response": {"slow": "finished"}}
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_ctrl_c_in_a_terminal_reaches_every_process_and_still_drains(plugins: Path, tmp_path: Path) -> None:
    server = Embedded(plugins, tmp_path / "data").start()
    started = tmp_path / "started"
    with concurrent.futures.ThreadPoolExecutor() as threads:
        call = threads.submit(server.get, f"/slow/?path={started}")
        while not started.exists() and not call.done():
            pass
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.stop(signal.SIGINT) == 0
        assert call.result().status_code == 200


def test_calls_beyond_the_drain_time_are_cut_short(plugins: Path, tmp_path: Path) -> None:
    server = Embedded(plugins, tmp_path / "data", DRAIN_SECS=1).start()
    started = tmp_path / "started"
    with concurrent.futures.ThreadPoolExecutor() as threads:
        call = threads.submit(server.get, f"/slow/?path={started}&secs=25")
        while not started.exists() and not call.done():
            pass
        assert server.stop() == 0
        assert (call.result().status_code, call.result().json()["status"]) == (502, "the worker died: shutting down")


def test_a_killed_platform_takes_its_processes_with_it(plugins: Path, tmp_path: Path) -> None:
    server = Embedded(plugins, tmp_path / "data").start()
    processes = server.processes()
    assert len(processes) >= 3
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    left = list(server.temporary.iterdir())
    assert server.start().get("/slow/?path=/dev/null&secs=0").status_code == 200
    assert list(server.temporary.iterdir()) == left  # what was left over was taken up again, and is removed now
    server.stop()


def test_a_folder_too_deep_for_sockets_is_not_used(plugins: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with running(plugins, tmp_path / "data", TMPDIR=deep) as server:
        assert server.get("/slow/?path=/dev/null&secs=0").status_code == 200


def test_a_later_start_serves_without_importing_again(plugins: Path, tmp_path: Path) -> None:
    (plugins / "counted.py").write_text(
        f"import expose\nwith open({str(tmp_path / 'imports')!r}, 'a') as file: file.write('x')\n"
        "@expose.endpoint(API='one')\ndef one(): return 1\n"
    )
    with running(plugins, tmp_path / "data"):
        pass
    assert (tmp_path / "imports").read_text() == "x"
    with running(plugins, tmp_path / "data") as server:
        assert (tmp_path / "imports").read_text() == "x"
        assert server.get("/one/").status_code == 200


def test_the_first_start_makes_secrets_that_only_the_owner_reads(tmp_path: Path) -> None:
    assert generate_secrets(tmp_path, {}) == ["ADMIN_UUID", "ADMIN_KEY", "SECRETS_KEY", "INSTALLATION_KEY"]
    local = tmp_path / ".env.local"
    assert local.stat().st_mode & 0o777 == 0o600
    text = local.read_text()
    assert generate_secrets(tmp_path, {}) == []
    assert local.read_text() == text


def test_secrets_that_are_set_elsewhere_are_not_made(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ADMIN_UUID=x\n")
    assert generate_secrets(tmp_path, {"ADMIN_KEY": "y", "SECRETS_KEY": "z", "INSTALLATION_KEY": "x"}) == []
    assert not (tmp_path / ".env.local").exists()


def test_no_secret_is_written_to_the_log(plugins: Path, tmp_path: Path) -> None:
    with running(plugins, tmp_path / "data", ADMIN_KEY="canary-0123456789", LOG_LEVEL="DEBUG") as server:
        httpx.get(f"{server.url}/api/pools", headers={"Authorization": "Bearer canary-0123456789"})
        server.get("/slow/?path=/dev/null&secs=0")
    said = server.log + server.banner
    assert (
        subprocess.run(["grep", "-ra", "canary", str(tmp_path / "data")], capture_output=True, check=False).returncode
        == 1
    )
    assert "canary" not in said
