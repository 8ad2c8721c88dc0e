"""Every system serves the measured functions, and stops without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from benchmarks import load, plan
from benchmarks.client import Question
from benchmarks.load import Invalid
from benchmarks.processes import ROOT
from benchmarks.rows.calls import measured_product
from benchmarks.rows.large import document
from benchmarks.systems import BARE, FASTAPI_ASYNC, FUNCTIONS_FRAMEWORK, REFERENCE, System, called, running

OTHERS = [REFERENCE, FASTAPI_ASYNC, BARE, FUNCTIONS_FRAMEWORK]


def stopped(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.mark.parametrize("system", OTHERS, ids=lambda system: str(system.name))
def test_a_reference_answers_and_stops(system: System, tmp_path: Path) -> None:
    with running(system, tmp_path) as one:
        one.check(system.echo)
        processes = [one.process, *one.process.children(recursive=True)]
    assert stopped(processes)


@pytest.mark.needs("wrk")
def test_paths_take_turns(tmp_path: Path) -> None:
    paths = tmp_path / "paths.txt"
    with running(REFERENCE, tmp_path) as one:
        paths.write_text(f"{one.echo.path}\n{one.echo.path}\n")
        assert load.run(one.url(Question("/nothing", None)), 1, 1, paths=paths).requests > 0
        paths.write_text(f"{one.echo.path}\n/nothing\n")
        with pytest.raises(Invalid, match="refused"):
            load.run(one.url(one.echo), 1, 1, paths=paths)


@pytest.mark.needs("wrk")
def test_authorizations_take_turns(tmp_path: Path) -> None:
    seen: list[str | None] = []

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    file = tmp_path / "authorizations.txt"
    file.write_text("Token a\nToken b\nToken c\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever).start()
        load.run(f"http://127.0.0.1:{server.server_port}/", 1, 1, authorizations=file)
        server.shutdown()
    assert set(seen[:3]) == {"Token a", "Token b", "Token c"}
    assert seen[3:] == seen[:-3], "in turns"


def test_the_product_answers_and_stops(tmp_path: Path) -> None:
    value = document()
    system = measured_product(plan.quick(tmp_path))
    with running(system, tmp_path) as one:
        one.check(Question("/rest/services/measured/large/", called("large", value), json.dumps(value).encode()))
        processes = [one.process, *one.process.children(recursive=True)]
        assert len(processes) > 2
    assert stopped(processes)


def test_a_wrong_answer_is_told(tmp_path: Path) -> None:
    with running(REFERENCE, tmp_path) as one:
        with pytest.raises(Invalid, match="wrong answer: 200"):
            one.check(Question(REFERENCE.echo.path, {"a": "another"}))
        with pytest.raises(Invalid, match="wrong answer: 404"):
            one.check(Question("/nothing", None))


def test_a_system_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    broken = System(
        name="broken",
        command=lambda _: [sys.executable, "-c", "raise SystemExit('no such port')"],
        echo=REFERENCE.echo,
    )
    with pytest.raises(Invalid, match="ended with 1 at its start: no such port"), running(broken, tmp_path):
        pass


def test_without_wrk_nothing_is_measured(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "calls"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "wrk is missing: apt-get install wrk" in ended.stderr
