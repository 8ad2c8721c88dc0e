"""Finds out what others changed in the database, and whether the database is there.

Every document that is watched has a revision and the server's time of its last change. To look is to ask for
all that changed lately: that finds everything, on a standalone server too, after any interruption, and
nothing is lost between a change and the telling of it, because both are one write. When to look, a change
stream says at once where the server has one (a replica set); else, and besides, it is done every so often.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec
from pymongo.errors import OperationFailure, PyMongoError

from store.mongo.database import Database, Document

STREAM_SECS: Final = 1.0
"""How often is looked where a change stream tells of changes."""
POLL_SECS: Final = 0.5
"""The same where none does."""
RETRY_SECS: Final = 0.25
"""Between two attempts to reach a database that is away."""
OVERLAP_SECS: Final = 5.0
"""How far two looks overlap: a change shows later than its time says, and clocks of two servers may differ."""
REMEMBER_SECS: Final = 60.0
"""How long is remembered which revision was seen; longer than any request takes, and than looks overlap."""
_SLIM: Final[Document] = {"modules": False, "sealed": False}
"""Without the list of a set's modules, and what is sealed of a tenant's variables."""


class What(enum.StrEnum):
    """What can change."""

    TENANT = "tenant"
    MODULES = "modules"
    SETTING = "setting"
    VARIABLES = "variables"


class Change(msgspec.Struct, frozen=True):
    """Something that another process changed."""

    what: What
    key: str
    """UUID of the tenant or owner, or name of the setting."""


class Watch:
    """Tells `changed` of each change that was not made here, with the document but for what is large in it, and
    the database whether it answers."""

    def __init__(self, database: Database, changed: Callable[[Change, Document], None]) -> None:
        self._database = database
        self._changed = changed
        self._stopping = False
        self._looked: datetime | None = None
        """The server's time of the last look."""
        self._seen: dict[Change, tuple[int, float]] = {}
        """Revisions of what changed lately, and when that was remembered."""
        self._writing: Counter[Change] = Counter()
        """What is being written here, how many times at once."""
        self._waiting: dict[Change, Document] = {}
        """What was found changed while it was being written here: whose change it is, is not known yet."""

    async def run(self) -> None:
        """Watches until it is stopped."""
        while not self._stopping:
            began = time.monotonic()
            try:
                async with self._alarm() as wait:
                    while not self._stopping:
                        await self._look()
                        self._database.found()
                        began = time.monotonic()
                        if not self._stopping:
                            await wait()
            except PyMongoError as error:
                self._database.lost(error, began)
                await asyncio.sleep(RETRY_SECS)

    async def stop(self, running: asyncio.Task[None]) -> None:
        """Ends the task of `run`."""
        # To cancel is not enough: before Python 3.12 `asyncio.wait_for`, which pymongo uses, may swallow it.
        self._stopping = True
        running.cancel()
        await asyncio.wait([running])

    def is_latest(self, change: Change, revision: int) -> bool:
        """Whether what was read at this revision is not known to be outdated."""
        return self._revision(change) <= revision

    @contextlib.contextmanager
    def own(self, change: Change) -> Iterator[Callable[[int], None]]:
        """Around a write made here, of which nobody has to be told; gives what takes the revision it made."""
        self._writing[change] += 1
        try:
            yield functools.partial(self._remember, change)
        finally:
            self._writing[change] -= 1
            if not self._writing[change]:
                del self._writing[change]
            if waiting := self._waiting.pop(change, None):
                self._take(change, waiting)

    async def _look(self) -> None:
        now = await self._database.time()
        since = min(self._looked or self._database.opened, now) - timedelta(seconds=OVERLAP_SECS)
        with self._database.bulk():
            for what, collection in self._database.watched:
                async for document in collection.find({"changed": {"$gte": since}}, _SLIM):
                    self._see(Change(What(what), document["_id"]), document)
        self._looked = now
        old = time.monotonic() - REMEMBER_SECS
        self._seen = {change: seen for change, seen in self._seen.items() if seen[1] > old}

    def _see(self, change: Change, document: Document) -> None:
        if change in self._writing:
            self._waiting[change] = document
        else:
            self._take(change, document)

    def _take(self, change: Change, document: Document) -> None:
        revision = document.get("revision", 0)
        outdated = self._revision(change) < revision
        self._remember(change, revision)
        if outdated:
            self._changed(change, document)

    def _remember(self, change: Change, revision: int) -> None:
        self._seen[change] = (max(self._revision(change), revision), time.monotonic())

    def _revision(self, change: Change) -> int:
        """The latest revision seen, of late."""
        return self._seen.get(change, (0, 0.0))[0]

    @contextlib.asynccontextmanager
    async def _alarm(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Gives what waits until it is time to look."""
        names = [one.name for _, one in self._database.watched]
        only: list[Document] = [{"$match": {"ns.coll": {"$in": names}}}, {"$project": {"wallTime": True}}]
        try:
            stream = await self._database.database.watch(only, max_await_time_ms=int(STREAM_SECS * 1000))
        except OperationFailure:  # a standalone server, or a user who may not

            async def pause() -> None:
                await asyncio.sleep(POLL_SECS)

            yield pause
            return
        async with stream:

            async def told() -> None:
                while self._was_seen(await stream.try_next()):
                    continue

            yield told

    def _was_seen(self, event: Document | None) -> bool:
        """Whether this tells of a change that the last look has found: there are many when much changes at once."""
        if event is None or self._looked is None:
            return False
        at = event.get("wallTime")
        return isinstance(at, datetime) and at < self._looked
