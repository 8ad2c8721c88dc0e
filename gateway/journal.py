"""What the process tells its operator: one line of JSON per event on stderr or in a file, written by a thread.

The event loop never waits for stderr. Lines wait in a bounded queue; when whatever reads stderr is
stuck, further lines are dropped, counted and reported once it reads again. On a terminal the lines
are short text instead of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.log_file import LogFile

QUEUE_BYTES: Final = 1024 * 1024
"""Bytes of lines that may wait for the writer; as many again may be on their way out."""
MAX_TEXT: Final = 8 * 1024
"""Characters of a message or path that are kept."""
MAX_TRACEBACK: Final = 32 * 1024
"""Characters of a traceback that are kept; its end says what happened."""
GATHER_SECS: Final = 0.05
"""How long the writer lets lines gather, so that a busy gateway wakes it 20 times a second, not per call."""
CLOSE_SECS: Final = 2.0
"""How long `close` waits for a stuck stderr."""

LOGGER: Final = "plugbay"
"""Parent of all of the platform's loggers."""


class _Event(msgspec.Struct, omit_defaults=True):
    time: datetime
    level: str
    logger: str
    message: str
    call: str = ""
    exception: str = ""
    audit: dict[str, str] | None = None


class _Access(msgspec.Struct):
    time: datetime
    level: str
    logger: str
    message: str
    call: str
    client: str
    method: str
    path: str
    status: int
    outcome: str
    us: int
    """Microseconds from the request's last byte to its answer; the next two are parts of it."""
    queue_us: int
    run_us: int


_encode = msgspec.json.Encoder().encode


def json_line(event: _Event | _Access) -> bytes:
    """One line of ASCII: no byte of it can end the line or reach a terminal as a control character."""
    try:
        line = _encode(event)
    except UnicodeEncodeError:  # half a character, as undecodable names of files have
        line = b"\xff"
    if not line.isascii():
        line = json.dumps(msgspec.to_builtins(event), separators=(",", ":")).encode("ascii")
    return line.replace(b"\x7f", b"\\u007f") + b"\n"


def _visible(text: str) -> str:
    """The text with every character escaped that is not printable."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def text_line(event: _Event | _Access) -> bytes:
    """One short line for a person at a terminal; a traceback follows on lines of its own."""
    clock = event.time.astimezone().strftime("%H:%M:%S")
    if isinstance(event, _Access):
        line = f"{clock} {event.method} {event.path} {event.status} {event.us / 1000:.1f} ms"
    else:
        level = "" if event.level == "INFO" else f"{event.level} "
        line = f"{clock} {level}{event.message}"
    rows = [_visible(line), *("    " + _visible(row) for row in _rows(event))]
    return ("\n".join(rows) + "\n").encode("utf-8", "backslashreplace")


def _rows(event: _Event | _Access) -> list[str]:
    return event.exception.split("\n") if isinstance(event, _Event) and event.exception else []


class Journal(logging.Handler):
    """A logging handler and the access log of the gateway, sharing one queue and one writer."""

    def __init__(self, level: int, fd: int, *, terminal: bool, file: LogFile | None = None) -> None:
        """`file` is written to instead of `fd`."""
        super().__init__()
        self.dropped = 0
        """Lines that were not written since the start."""
        self._fd = fd
        self._file = file
        self._line = text_line if terminal else json_line
        self._calls = level <= logging.INFO
        self._lines: list[bytes] = []
        self._bytes = 0
        self._unreported = 0
        self._queue_lock = threading.Lock()
        self._news = threading.Event()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write_lines, name="journal", daemon=True)
        self._writer.start()

    def access(
        self,
        call: str,
        client: str,
        method: str,
        path: str,
        status: int,
        outcome: str,
        seconds: float,
        queue: float,
        run: float,
    ) -> None:
        """One answered request; `path` without its query, which may hold secrets. Durations in seconds.
        Meant for the event loop: encodes and queues, never waits for stderr."""
        if self._calls:
            self._put(
                self._line(
                    _Access(
                        datetime.now(UTC),
                        "INFO",
                        "plugbay.access",
                        "call",
                        call,
                        client,
                        method,
                        path[:MAX_TEXT],
                        status,
                        outcome,
                        int(seconds * 1e6),
                        int(queue * 1e6),
                        int(run * 1e6),
                    )
                )
            )

    def emit(self, record: logging.LogRecord) -> None:
        """Queues one record of the standard library's logging; `extra={"call": id}` names the call."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError) as error:
            message = f"{record.msg} (its arguments do not fit: {error})"
        exception = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self._put(
            self._line(
                _Event(
                    datetime.fromtimestamp(record.created, UTC),
                    record.levelname,
                    record.name,
                    message[:MAX_TEXT],
                    str(getattr(record, "call", "")),
                    exception[-MAX_TRACEBACK:],
                    getattr(record, "audit", None),
                )
            )
        )

    def close(self) -> None:
        """Writes what waits, as far as stderr takes it within CLOSE_SECS. May be called twice."""
        self._closing.set()
        self._news.set()
        self._writer.join(CLOSE_SECS)
        super().close()

    def _put(self, line: bytes) -> None:
        with self._queue_lock:
            if self._bytes + len(line) > QUEUE_BYTES:
                self.dropped += 1
                self._unreported += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
        if not self._news.is_set():
            self._news.set()

    def _take(self) -> tuple[bytes, int, int]:
        """What waits, how many lines that is, and how many were dropped and not reported yet."""
        with self._queue_lock:
            self._news.clear()
            lines, self._lines, self._bytes = self._lines, [], 0
            dropped, self._unreported = self._unreported, 0
        return b"".join(lines), len(lines), dropped

    def _write_lines(self) -> None:
        while True:
            self._news.wait()
            self._closing.wait(GATHER_SECS)
            ending = self._closing.is_set()
            text, count, dropped = self._take()
            if dropped:
                message = f"{dropped} log lines were dropped: whatever reads stderr did not keep up"
                text += self._line(_Event(datetime.now(UTC), "WARNING", "plugbay.journal", message))
            if not self._write(text):
                self.dropped += count
            if ending:
                return

    def _write(self, text: bytes) -> bool:
        """False when stderr is closed or gone, or the file cannot be written."""
        left = memoryview(text)
        try:
            fd = self._file.room(len(text)) if self._file else self._fd
            while left:
                try:
                    left = left[os.write(fd, left) :]
                except BlockingIOError:
                    select.select([], [fd], [], 1.0)
        except OSError:
            return False
        return True


def setup(level: str, fd: int | None = None, file: LogFile | None = None) -> Journal:
    """Sends all logging of the process through one journal, to stderr or a file. Call `close` on it last of all.

    `level` is that of the platform's own loggers (`plugbay.…`); of libraries only warnings are kept.
    uvicorn must be given `log_config=None, access_log=False`.
    """
    number = logging.getLevelNamesMapping()[level]
    target = sys.stderr.fileno() if fd is None else fd
    journal = Journal(number, target, terminal=file is None and os.isatty(target), file=file)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(journal)
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(number)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(True)
    return journal
