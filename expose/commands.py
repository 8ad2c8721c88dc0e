"""`expose.command([...])`: a program in any language as a function."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from expose.files import File

if TYPE_CHECKING:
    import subprocess

MAX_OUTPUT: Final = 16 * 1024 * 1024
"""Bytes a program may write to its standard output."""
_STDERR_TAIL: Final = 500
"""Bytes of standard error that CommandFailed keeps: the end, where the reason stands."""


class CommandFailed(RuntimeError):
    """The program is missing, ended with an exit code other than 0, or printed too much."""

    def __init__(self, problem: str, exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(problem, exit_code, stderr)
        self.exit_code = exit_code
        """Negative: the signal that ended it. None: it did not run to its end."""
        self.stderr = stderr
        """The end of what it printed to standard error."""
        self._problem = problem

    def __str__(self) -> str:
        return f"{self._problem}: {self.stderr}" if self.stderr else self._problem


def command(argv: Sequence[str | os.PathLike[str]]) -> Callable[..., Any]:
    """A function that runs this program with its keyword arguments as one JSON object on stdin.

        add_up = expose.command(["node", Path(__file__).parent / "sum.js"])

        @expose.endpoint(method="POST", API="sum")
        def total(numbers: list[float]) -> object:
            return add_up(numbers=numbers)

        everything = expose.endpoint(method="POST", API="everything")(add_up)      # all arguments, unchecked

    What the program prints is the result: a JSON value when it is one, else text without the newlines
    at its end, or `bytes` when it is not UTF-8. What it prints to stderr goes to the call's output. An
    exit code other than 0 raises CommandFailed with the end of that. The program and what it started
    end with the call. `argv` is a list and never goes through a shell; a module that ships a script is
    a package folder, and names it from `Path(__file__).parent`. In an `async def` write
    `await asyncio.to_thread(add_up, numbers=numbers)`.
    """
    if isinstance(argv, str | bytes | os.PathLike):
        raise TypeError(f'write the program and its arguments as a list: expose.command(["{os.fsdecode(argv)}"])')
    words = [os.fspath(word) for word in argv]
    if not words or not all(isinstance(word, str) for word in words):
        raise TypeError('a command is a list of strings: expose.command(["node", "script.js"])')
    if any("\0" in word for word in words):
        raise ValueError("a command cannot hold NUL characters")

    def run(**arguments: Any) -> Any:
        return _result(_run(words, _as_json(arguments)))

    # Exposed directly, it is a function of the module that made it.
    run.__module__ = sys._getframe(1).f_globals.get("__name__", __name__)
    run.__name__ = run.__qualname__ = os.path.basename(words[0])  # noqa: PTH119  # pathlib is slow to import
    run.__doc__ = f"Runs {run.__name__}."
    return run


def _as_json(arguments: dict[str, Any]) -> bytes:
    return json.dumps(arguments, default=_plain, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: object) -> object:
    """JSON for what arguments hold besides JSON values: bytes and files as base64, dates as ISO text."""
    if isinstance(value, bytes | bytearray | memoryview):
        import base64

        return base64.b64encode(value).decode()
    if isinstance(value, File):
        return {"name": value.name, "media_type": value.media_type, "content": value.content}
    isoformat = getattr(value, "isoformat", None)
    if isoformat is not None:
        return isoformat()
    if type(value).__module__ in ("uuid", "decimal"):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent to a program: give it JSON values")


def _result(output: bytes) -> Any:
    try:
        text = output.decode()
    except UnicodeDecodeError:
        return output
    try:
        return json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return text.rstrip("\r\n")


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _run(argv: list[str], stdin: bytes) -> bytes:
    import subprocess
    import tempfile
    import threading

    # A file, not a pipe: nobody has to write while the program prints.
    with tempfile.TemporaryFile() as arguments:
        arguments.write(stdin)
        arguments.seek(0)
        try:
            process = subprocess.Popen(
                argv, stdin=arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise CommandFailed(f"cannot run {argv[0]}: {_why_not(error)}") from error
    leader = threading.Thread(target=_end_with_leader, args=(process.pid,), name="expose-command", daemon=True)
    with process:
        try:
            leader.start()
            output, stderr = _read(process)
            leader.join()
        except BaseException:
            _kill_group(process.pid)
            if leader.is_alive():
                leader.join()
            raise
    name = os.path.basename(argv[0])  # noqa: PTH119  # pathlib is slow to import
    if process.returncode < 0:
        raise CommandFailed(f"{name} was ended by signal {-process.returncode}", process.returncode, stderr)
    if process.returncode:
        raise CommandFailed(f"{name} ended with exit code {process.returncode}", process.returncode, stderr)
    return output


def _why_not(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such program here"
    if isinstance(error, PermissionError):
        return "it is not executable"
    return error.strerror or type(error).__name__


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    """All of stdout and the end of stderr, once both are closed. Passes stderr on as it comes."""
    import codecs
    import selectors

    output = bytearray()
    tail = b""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    with selectors.DefaultSelector() as selector:
        for stream in filter(None, (process.stdout, process.stderr)):
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    output += data
                    if len(output) > MAX_OUTPUT:
                        raise CommandFailed(f"the program printed more than {MAX_OUTPUT} bytes")
                else:
                    tail = (tail + data)[-_STDERR_TAIL:]
                    _pass_on(sys.stderr, decode(data))
    return bytes(output), tail.decode("utf-8", "replace").strip()


def _pass_on(stream: IO[str] | None, text: str) -> None:
    if stream is not None:
        stream.write(text)


def _end_with_leader(pid: int) -> None:
    """Waits for the program's end and ends what it started and left, which may hold its output open."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:  # somebody else has waited for it: the number may be another's by now
        return
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    import signal

    # Not waited for yet, so the number is still this program's, as is the group it leads.
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
