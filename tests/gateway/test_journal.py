"""Given a process that logs, when its stderr is read, stuck, closed or a terminal, then this is written there."""

from __future__ import annotations

import json
import logging
import os
import pty
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.journal import QUEUE_BYTES, Journal, setup
from gateway.log_file import LogFile
from tests.waiting import eventually


class Pipe:
    """The other end of a journal's stderr."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.text = b""
        self._reader = threading.Thread(target=self._read)

    def start(self) -> None:
        self._reader.start()

    def _read(self) -> None:
        while data := os.read(self.reading, 65536):
            self.text += data

    def lines(self, journal: Journal) -> list[Any]:
        """Closes the journal; what it wrote, line by line."""
        journal.close()
        os.close(self.writing)
        self._reader.join()
        os.close(self.reading)
        assert self.text == b"" or self.text.endswith(b"\n")
        assert all(byte == 10 or 32 <= byte < 127 for byte in self.text)
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """The process's logging as pytest had it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.getLogger("uvicorn.access").disabled = False
    for name in ("plugbay", "uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def access(journal: Journal, path: str = "/rest/services/hello/", call: str = "a" * 32) -> None:
    journal.access(call, "127.0.0.1", "GET", path, 200, "VALUE", 0.0025, 0.0005, 0.001)


def test_a_call_is_one_line() -> None:
    pipe = Pipe()
    pipe.start()
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    access(journal)
    (line,) = pipe.lines(journal)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "plugbay.access",
        "message": "call",
        "call": "a" * 32,
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/rest/services/hello/",
        "status": 200,
        "outcome": "VALUE",
        "us": 2500,
        "queue_us": 500,
        "run_us": 1000,
    }


HOSTILE = 'x\r\n{"level":"INFO"}\x1b[2J\u2028\u2029\x85\x9b31m\x00\x7f\ud800 grün'


def test_nothing_breaks_out_of_its_line() -> None:
    pipe = Pipe()
    pipe.start()
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    access(journal, path=HOSTILE.replace("\ud800", ""))
    logger = logging.Logger("plugbay.test")
    logger.addHandler(journal)
    logger.warning("got %s", HOSTILE.replace("\ud800", ""), extra={"call": "b" * 32})
    logger.warning("got %s", HOSTILE)
    called, said, broken = pipe.lines(journal)
    assert called["path"] == HOSTILE.replace("\ud800", "")
    assert (said["message"], said["call"]) == ("got " + HOSTILE.replace("\ud800", ""), "b" * 32)
    assert broken["message"] == "got " + HOSTILE


def test_exceptions_and_arguments_that_do_not_fit() -> None:
    pipe = Pipe()
    pipe.start()
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    logger = logging.Logger("plugbay.test")
    logger.addHandler(journal)
    try:
        raise ValueError("a\nb")
    except ValueError:
        logger.exception("failed")
    logger.error("%d of %s", "one")
    raised, unfit = pipe.lines(journal)
    assert raised["message"] == "failed"
    assert raised["exception"].startswith("Traceback (most recent call last):\n")
    assert raised["exception"].endswith("ValueError: a\nb")
    assert "exception" not in unfit
    assert unfit["message"].startswith("%d of %s")


def test_lines_are_bounded() -> None:
    pipe = Pipe()
    pipe.start()
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    access(journal, path="p" * 1_000_000)
    logger = logging.Logger("plugbay.test")
    logger.addHandler(journal)
    logger.error("m" * 1_000_000)
    assert [len(line.get("path", line["message"])) for line in pipe.lines(journal)] == [8192, 8192]


def test_a_stuck_reader_costs_lines_and_never_waits() -> None:
    pipe = Pipe()
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    written = 0
    while journal.dropped < 100:  # the pipe holds 64 KiB, the journal what its queue holds twice
        access(journal)
        written += 1
    assert written * 200 < 5 * QUEUE_BYTES
    pipe.start()
    *calls, report = pipe.lines(journal)
    dropped = journal.dropped
    assert dropped >= 100
    assert len(calls) == written - dropped
    assert report["level"] == "WARNING"
    assert report["message"].startswith(f"{dropped} log lines were dropped")


def test_a_reader_that_is_gone_is_no_failure() -> None:
    pipe = Pipe()
    os.close(pipe.reading)
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    access(journal)
    journal.close()
    assert journal.dropped == 1
    os.close(pipe.writing)


def test_a_pipe_that_does_not_block() -> None:
    pipe = Pipe()
    os.set_blocking(pipe.writing, False)
    journal = Journal(logging.INFO, pipe.writing, terminal=False)
    for _ in range(2000):
        access(journal)
    pipe.start()
    assert len(pipe.lines(journal)) == 2000


def test_calls_are_not_logged_above_info() -> None:
    pipe = Pipe()
    pipe.start()
    journal = Journal(logging.WARNING, pipe.writing, terminal=False)
    access(journal)
    assert pipe.lines(journal) == []


def test_threads_share_it() -> None:
    pipe = Pipe()
    pipe.start()
    journal = Journal(logging.INFO, pipe.writing, terminal=False)

    def call_often() -> None:
        for _ in range(200):
            access(journal, call=threading.current_thread().name)

    threads = [threading.Thread(target=call_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pipe.lines(journal)) == 800


def test_a_full_file_is_kept_once_and_another_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.log_file.MAX_FILE", 1000)
    path = tmp_path / "log"
    path.write_text("of a run before\n")
    journal = Journal(logging.INFO, -1, terminal=False, file=LogFile(path))

    def written() -> str:
        """What is in the file; it is not there for a moment when another one is begun."""
        try:
            return path.read_text()
        except FileNotFoundError:
            return ""

    for number in range(50):
        access(journal, call=str(number))
        eventually(lambda number=number: f'"call":"{number}"' in written())  # type: ignore[misc]
    journal.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1"]
    kept = [
        json.loads(line)["call"] for name in ("log.1", "log") for line in (tmp_path / name).read_text().splitlines()
    ]
    assert kept == [str(number) for number in range(50)][-len(kept) :], "nothing is lost between the two"
    assert all(200 < (tmp_path / name).stat().st_size <= 1000 for name in ("log", "log.1"))


def test_a_file_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of a run before\n")
    journal = Journal(logging.INFO, -1, terminal=False, file=LogFile(tmp_path / "log"))
    access(journal)
    journal.close()
    before, line = (tmp_path / "log").read_text().splitlines()
    assert (before, json.loads(line)["status"]) == ("of a run before", 200)


@pytest.mark.usefixtures("logging_restored")
def test_setup_takes_all_logging_of_the_process() -> None:
    pipe = Pipe()
    pipe.start()
    journal = setup("INFO", pipe.writing)
    logging.getLogger("plugbay.runner").info("runner started")
    logging.getLogger("plugbay.runner").debug("no")
    logging.getLogger("uvicorn.error").info("no")
    logging.getLogger("uvicorn.error").error("raised")
    logging.getLogger("uvicorn.access").error("no")
    logging.getLogger("watchfiles.main").info("no")
    logging.getLogger("asyncio").warning("slow")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    said = pipe.lines(journal)
    assert [line["message"] for line in said[:3]] == ["runner started", "raised", "slow"]
    assert said[3]["logger"] == "py.warnings"
    assert len(said) == 4


@pytest.mark.usefixtures("logging_restored")
def test_a_terminal_gets_short_text_without_its_control_characters() -> None:
    master, slave = pty.openpty()
    journal = setup("INFO", slave)
    logging.getLogger("plugbay.x").info("started\x1b[2J\r\nx \u2028 grün")
    logging.getLogger("plugbay.x").error("oh")
    try:
        raise KeyError("a")
    except KeyError:
        logging.getLogger("plugbay.x").exception("failed")
    access(journal, path="/a\x1b[31m")
    journal.close()
    os.close(slave)
    text = b""
    try:
        while data := os.read(master, 65536):
            text += data
    except OSError:  # EIO: nobody holds the other end any more
        os.close(master)
    rows = text.decode().split("\r\n")
    assert rows[0].split(" ", 1)[1] == "started\\x1b[2J\\r\\nx \\u2028 grün"
    assert rows[1].split(" ", 1)[1] == "ERROR oh"
    assert rows[2].split(" ", 1)[1] == "ERROR failed"
    assert rows[3] == "    Traceback (most recent call last):"
    assert rows[-2].split(" ", 1)[1] == "GET /a\\x1b[31m 200 2.5 ms"
