"""What a module's source says about itself, read without importing it and without parsing it in this process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from struct import Struct
from typing import Annotated, Final

import msgspec

from catalogue import header_process

SECS: Final = 10.0
"""Seconds that reading one header may take, the start of the child included."""

_MAX_ANSWER: Final = 16 * 1024
_PROGRAM: Final = str(Path(header_process.__file__).resolve())
_LENGTH: Final = Struct("!I")


class Header(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The header of one module, or why it has none."""

    owner: Annotated[str, msgspec.Meta(max_length=36)] | None = None
    """`__ID__`: a UUID in canonical form; None when absent, which means the admin."""
    alias: Annotated[str, msgspec.Meta(max_length=63)] | None = None
    """`__alias__`."""
    problem: str = ""
    """Why the module cannot be served; empty when it can."""
    line: int = 0
    """Line of the problem; 0 where unknown."""


class _Answer(Header, frozen=True, kw_only=True, gc=False):
    retire: bool


_decode = msgspec.json.Decoder(_Answer).decode


class HeaderReader:
    """A bounded child process that reads one header at a time; started when first needed, and again when it dies."""

    def __init__(self, seconds: float = SECS) -> None:
        self._seconds = seconds
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def read(self, source: bytes) -> Header:
        """The header of this source. Never raises for what the source holds: that is the header's `problem`."""
        async with self._turn:
            death = ""
            for _ in range(2):  # a child that dies twice dies of this source; once, it may have been killed before
                try:
                    async with asyncio.timeout(self._seconds):
                        answer = await self._ask(source)
                except TimeoutError:
                    await self._end(grace=0)
                    return Header(problem=f"the source takes longer than {self._seconds:g} s to parse")
                except (ConnectionError, asyncio.IncompleteReadError, msgspec.DecodeError, UnicodeDecodeError):
                    death = await self._end()
                except BaseException:
                    await self._end(
                        grace=0
                    )  # its answer to a question that nobody waits for is never read as another's
                    raise
                else:
                    if answer.retire:
                        await self._end()
                    return Header(owner=answer.owner, alias=answer.alias, problem=answer.problem, line=answer.line)
            return Header(problem=f"the source cannot be parsed: the process that tried ended with {death}")

    async def close(self) -> None:
        """Ends the child."""
        async with self._turn:
            await self._end()

    async def _ask(self, source: bytes) -> _Answer:
        if self._child is None:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _PROGRAM),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,  # a Ctrl-C in the terminal is not meant for it
            )
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None and stdout is not None
        stdin.write(_LENGTH.pack(len(source)) + source)
        await stdin.drain()
        (length,) = _LENGTH.unpack(await stdout.readexactly(_LENGTH.size))
        return _decode(await stdout.readexactly(min(length, _MAX_ANSWER)))

    async def _end(self, grace: float = 1.0) -> str:
        """Ends the child, if there is one, and says how it ended. It gets `grace` seconds to end by itself."""
        child, self._child = self._child, None
        if child is None:
            return "no process"
        assert child.stdin is not None
        child.stdin.close()
        try:
            async with asyncio.timeout(grace):
                code = await child.wait()
        except TimeoutError:
            child.kill()
            code = await child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"
