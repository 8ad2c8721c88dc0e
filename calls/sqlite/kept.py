"""Kept calls kind `sqlite`: one process, with what it has to know by heart in memory and everything in a file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from calls.kept import Found, KeptBounds, KeptCall, KeptUnavailable, Result, Taken, decode, encode, size_of
from calls.sqlite.book import Book
from calls.sqlite.file import KeptFile

_T = TypeVar("_T")


class SqliteKept:
    """See calls.kept.KeptCalls. All access to the file runs on one thread of its own, in the order in which it is asked
    for. What a process had taken when it ended is to be run again, by the next one."""

    def __init__(self, folder: Path, bounds: KeptBounds) -> None:
        self._bounds = bounds
        self._book = Book(bounds)
        self._file = KeptFile(folder)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kept")
        self._lost: list[str] = []
        """What the book has dropped, and the file could not."""
        self._closed = False

    @property
    def waiting(self) -> int:
        """See KeptCalls."""
        return self._book.waiting

    async def open(self) -> None:
        """See KeptCalls."""
        for id, entry in await self._run(self._file.open):
            self._book.load(id, entry)

    async def close(self) -> None:
        """See KeptCalls."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
            self._thread.shutdown()

    async def put(self, call: KeptCall, most: int) -> None:
        """See KeptCalls."""
        content = encode(call)
        dropped = [*self._over(), *self._book.admit(call.id, call.owner, size_of(content), most)]
        await self._add(call.id, dropped, lambda gone: self._file.put(call.id, call.owner, content, gone))
        self._book.ready(call.id)

    async def hold(self, id: str, owner: str, mark: bytes, secs: float) -> Found | None:
        """See KeptCalls."""
        while self._book.get(id, time.time()) is not None:
            if (found := await self.find(id)) is not None:
                return found
            await self.forget(id)  # it cannot be read
        ends = time.time() + secs
        dropped = [id, *self._over(), *self._book.hold(id, owner, size_of(mark), ends)]
        await self._add(id, dropped, lambda gone: self._file.hold(id, owner, mark, ends, gone))
        return None

    async def find(self, id: str) -> Found | None:
        """See KeptCalls."""
        entry = self._book.get(id, time.time())
        if entry is None:
            return None
        result, mark = await self._run(lambda: self._file.content(id))
        if result is None:
            return Found(entry.owner, None, mark)
        read = decode(result, Result)
        return None if read is None else Found(entry.owner, read, mark)

    async def forget(self, id: str) -> bool:
        """See KeptCalls."""
        if self._book.get(id, time.time()) is None:
            return False
        await self._forget([id])
        return True

    async def forget_owner(self, owner: str) -> None:
        """See KeptCalls."""
        await self._forget(self._book.of(owner))

    async def take(self, but: Collection[str] = ()) -> Taken | None:
        """See KeptCalls."""
        if over := self._over():
            await self._write(over, self._file.drop)
        while (id := self._book.take(but, time.time())) is not None:
            attempt = self._book[id].attempts
            try:
                content = await self._run(partial(self._file.take, id, attempt))
            except KeptUnavailable:
                self._book.again(id, attempt, time.time(), counts=False)
                raise
            if content is not None and (call := decode(content, KeptCall)) is not None:
                return Taken(call, attempt)
            await self.forget(id)
        return None

    async def renew(self, ids: Collection[str]) -> None:
        """See KeptCalls."""
        for id in ids:
            self._book.renew(id, time.time())

    async def again(self, taken: Taken, secs: float, *, counts: bool) -> None:
        """See KeptCalls."""
        self._book.again(taken.call.id, taken.attempt, time.time() + secs, counts=counts)

    async def finish(self, id: str, result: Result, most: int) -> None:
        """See KeptCalls."""
        content, ends = encode(result), time.time() + self._bounds.secs
        before = self._book.get(id, time.time())
        if before is None or (dropped := self._book.finish(id, size_of(content), ends, most)) is None:
            return
        try:
            await self._write(dropped, lambda gone: self._file.finish(id, content, ends, gone))
        except KeptUnavailable:
            self._book.replace(id, before)
            raise

    def _over(self) -> list[str]:
        return self._book.over(time.time())

    async def _add(self, id: str, dropped: list[str], write: Callable[[list[str]], None]) -> None:
        """Writes what the book has already, which forgets it when that fails."""
        try:
            await self._write(dropped, write)
        except KeptUnavailable:
            if id in self._book:
                self._book.drop(id)
            raise

    async def _forget(self, ids: list[str]) -> None:
        """All of these, or none when that fails."""
        before = [(id, self._book[id]) for id in ids]
        for id in ids:
            self._book.drop(id)
        try:
            await self._run(partial(self._file.drop, ids))
        except KeptUnavailable:
            for id, entry in before:
                self._book.load(id, entry)
            raise

    async def _write(self, dropped: list[str], write: Callable[[list[str]], None]) -> None:
        """Changes the file, which loses what the book has dropped: at the next time, when it fails."""
        gone, self._lost = [*self._lost, *dropped], []
        try:
            await self._run(partial(write, gone))
        except KeptUnavailable:
            self._lost += [id for id in gone if id not in self._book]
            raise

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._closed:
            raise KeptUnavailable("the file of kept calls is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise KeptUnavailable(f"the file of kept calls cannot be used: {error}") from error
