"""What functions print: kept per call, bounded, and still readable after the worker's death.

Every byte of the current calls is also written to a flight recorder: anonymous memory shared with
the zygote, which hands it to the host when the worker dies.
"""

from __future__ import annotations

import contextvars
import io
import mmap
import os
import select
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

_SIZE = struct.Struct("!I")


class Recorder:
    """Bounded memory shared by a worker and its zygote, holding the last output."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._memory = mmap.mmap(-1, _SIZE.size + capacity)
        self._used = 0

    def clear(self) -> None:
        """Forgets what was recorded."""
        if self._used:
            self._used = 0
            _SIZE.pack_into(self._memory, 0, 0)

    def append(self, data: bytes) -> None:
        """Records what still fits."""
        data = data[: self.capacity - self._used]
        if data:
            start = _SIZE.size + self._used
            self._memory[start : start + len(data)] = data
            self._used += len(data)
            _SIZE.pack_into(self._memory, 0, self._used)

    def read(self) -> bytes:
        """What was recorded, whoever wrote it; never more than the capacity."""
        used = min(int(_SIZE.unpack_from(self._memory)[0]), self.capacity)
        return self._memory[_SIZE.size : _SIZE.size + used]

    def close(self) -> None:
        """Gives the memory back."""
        self._memory.close()


class Capture:
    """The output of one call."""

    __slots__ = ("open", "text", "truncated")

    def __init__(self) -> None:
        self.text = bytearray()
        self.truncated = False
        self.open = True


_current: contextvars.ContextVar[Capture | None] = contextvars.ContextVar("plugbay_capture", default=None)
_THREAD_CAPTURE = "_plugbay_capture"


class Output:
    """Stands in for stdout and stderr of a worker: Python's streams and the descriptors 1 and 2."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._max = recorder.capacity
        self._only: Capture | None = None
        self._lock = threading.Lock()
        self._pipe = -1
        self.stream = _Stream(self._write)

    def install(self) -> None:
        """Takes over descriptors 1 and 2 and Python's streams. Called once, in the worker."""
        self._pipe, write_end = os.pipe()
        os.set_blocking(self._pipe, False)
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        os.close(write_end)
        self.restore_streams()
        _let_threads_inherit()
        threading.Thread(target=self._drain_for_ever, name="plugbay-output", daemon=True).start()

    def restore_streams(self) -> None:
        """Undoes what a function did to `sys.stdout` and `sys.stderr`."""
        sys.stdout = sys.stderr = self.stream

    def begin(self, *, alone: bool) -> Capture:
        """Starts a call's capture in the current context. `alone`: no other call runs in this worker,
        so what is written straight to descriptors 1 and 2 is this call's."""
        capture = Capture()
        if alone:
            self._recorder.clear()
            self._only = capture
        else:
            self._only = None
        _current.set(capture)
        return capture

    def end(self, capture: Capture) -> tuple[bytes, bool]:
        """Ends it and gives its output, and whether some was dropped."""
        self._drain()
        capture.open = False
        if self._only is capture:
            self._only = None
        return bytes(capture.text), capture.truncated

    def note(self, capture: Capture, text: str) -> None:
        """Adds the platform's own words, as a traceback, to a call's output."""
        self._append(capture, text.encode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        capture = _current.get() or threading.current_thread().__dict__.get(_THREAD_CAPTURE)
        if capture is not None:
            self._append(capture, data)

    def _append(self, capture: Capture, data: bytes) -> None:
        if not capture.open:
            return
        room = self._max - len(capture.text)
        if len(data) > room:
            capture.truncated = True
            data = data[:room]
        capture.text += data
        self._recorder.append(data)

    def _drain(self) -> None:
        with self._lock:
            while True:
                try:
                    data = os.read(self._pipe, 65536)
                except BlockingIOError:
                    return
                except OSError:  # the function closed our descriptor
                    return
                if not data:
                    return
                if self._only is not None:
                    self._append(self._only, data)

    def _drain_for_ever(self) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while poll.poll()[0][1] & select.POLLIN:
            self._drain()


def _let_threads_inherit() -> None:
    """Threads started by a call write to that call's output, and to nothing once it has ended."""
    start = threading.Thread.start

    def start_with_capture(thread: threading.Thread) -> None:
        capture = _current.get() or threading.current_thread().__dict__.get(_THREAD_CAPTURE)
        thread.__dict__[_THREAD_CAPTURE] = capture
        start(thread)

    threading.Thread.start = start_with_capture  # type: ignore[method-assign, assignment]


class _Raw(io.RawIOBase):
    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._deliver = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._deliver(content)
        return len(content)


class _Stream(io.TextIOBase):
    """A text stream that is never closed, has no position, and delivers at once."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._deliver = write
        self.buffer = _Raw(write)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "replace"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def write(self, text: str) -> int:
        self._deliver(text.encode("utf-8", "replace"))
        return len(text)

    def close(self) -> None:
        """Stays open: whoever closes the standard streams would silence later calls."""
