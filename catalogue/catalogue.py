"""Keeps plugin folders, store and views in step: what is saved serves, what is removed stops.

One task does it, round by round; what serves is always the last version that was good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from catalogue.folder import Folders
from catalogue.header import HeaderReader
from catalogue.reconciler import Reconciler
from catalogue.sources import Sources
from catalogue.trials import Inspect, Trials
from catalogue.unpacking import Limits
from catalogue.uploads import Uploads
from catalogue.view import Problem, View
from catalogue.watch import FolderWatch
from store.contract import Status, Store, StoreUnavailable

log = logging.getLogger("plugbay.catalogue")

RESCAN_SECS: Final = 5.0
"""Seconds after which the folders are looked at though no change was noticed: network file systems tell of none."""

BLIND_RESCAN_SECS: Final = 0.5
"""The same while changes cannot be noticed, or were not stored."""


class Catalogue:
    """All modules and endpoints per owner.

    Modules without `__ID__` are the `admin`'s. `environment` gives the digest of the packages that
    modules of admins are imported with.
    """

    def __init__(
        self,
        *,
        admin: str,
        folders: Sequence[Path],
        max_modules: int,
        limits: Limits,
        store: Store,
        inspect: Inspect,
        environment: Callable[[], str],
    ) -> None:
        """`max_modules`: of all plugin folders."""
        self.on_change: list[Callable[[str], None]] = []
        """Called with the owner, on the event loop, once a new revision of its modules is shown."""
        self.on_stop: list[Callable[[str], None]] = []
        """Called with a tenant or further admin, on the event loop, that was disabled or removed."""
        self.uploads = Uploads(store, inspect, limits, self._reread)
        """The modules that come over the network."""
        self._admin = admin
        self._store = store
        self._headers = HeaderReader()
        scanned = Folders(folders, max_source=limits.max_source, max_bundle=limits.max_bundle, max_modules=max_modules)
        self._trials = Trials(inspect, self._trial_ended)
        self._reconciler = Reconciler(admin, store, Sources(scanned, self._headers), self._trials, environment)
        self._watch = FolderWatch(folders, self.rescan)
        self._wake = asyncio.Event()
        self._pausing = False
        self._ready = asyncio.Event()
        self._to_follow: set[str] = set()
        self._following = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Shows what was good when the platform stopped, and begins to follow the folders. Raises StoreUnavailable."""
        await self._reconciler.load()
        self._tasks = [
            asyncio.create_task(self._watch.run(), name="watch plugin folders"),
            asyncio.create_task(self._run(), name="catalogue"),
            asyncio.create_task(self._follow(), name="follow tenants"),
        ]

    async def close(self) -> None:
        """Stops following the folders. What is shown stays as it is."""
        self._watch.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._trials.close()
        await self._headers.close()
        await self.uploads.close()

    @property
    def ready(self) -> bool:
        """Every module that was in the folders at the start serves, or has its problem."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Returns when each module in the folders serves or has a problem. Raises what ended the catalogue."""
        ready = asyncio.create_task(self._ready.wait(), name="catalogue is ready")
        try:
            await asyncio.wait([ready, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        for task in self._tasks:
            if task.done():
                task.result()

    @property
    def problem(self) -> str | None:
        """Why what is saved is not taken up any more, if so."""
        ended = any(task.done() for task in self._tasks)
        return "the plugin folders are not followed any more" if ended else None

    async def ended(self) -> None:
        """Returns when the folders are not followed any more. Raises what ended that, unless it was `close`."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    def view(self, owner: str) -> View | None:
        """The owner's modules now, the same object until something changes; None when it never had any."""
        return self._reconciler.views.get(owner)

    def problems(self) -> list[Problem]:
        """Everything that does not serve as it stands in its folder, of all owners."""
        return self._reconciler.views.problems()

    def rescan(self) -> None:
        """Looks at the folders, and for tenants registered meanwhile, now."""
        self._wake.set()

    def follow(self, owner: str) -> None:
        """An owner, or its modules, was changed, by this process or another: takes it up within a second."""
        self._to_follow.add(owner)
        self._following.set()

    def refresh_environment(self) -> None:
        """The packages changed: modules of admins that failed, or were tried with others, are tried again."""
        self._reconciler.refusals.retry(self._admin, curable_only=False)
        self._wake.set()

    def _trial_ended(self) -> None:
        if self._pausing:  # else the round that waits for it takes it
            self._wake.set()

    async def _reread(self, owner: str) -> None:
        if await self._reconciler.reread(owner):
            for changes in self.on_change:
                changes(owner)
        self.rescan()  # a file may serve where an upload was

    async def _follow(self) -> None:
        while True:
            await self._following.wait()
            self._following.clear()
            while self._to_follow:
                owner = self._to_follow.pop()
                try:
                    await self._look_at(owner)
                except StoreUnavailable as error:
                    log.error("the modules of %s stay as they were: %s", owner, error)
                    self._to_follow.add(owner)
                    await asyncio.sleep(BLIND_RESCAN_SECS)

    async def _look_at(self, owner: str) -> None:
        if owner == self._admin:
            await self._reread(owner)
            return
        tenant = await self._store.tenant(owner)
        if tenant is None and (await self._store.modules(owner)).modules:
            await self._store.remove_tenant(owner)  # stored while the tenant was being removed
        self._reconciler.tenant_changed(owner)
        await self._reread(owner)
        if tenant is None or tenant.status is not Status.ENABLED:
            for stops in self.on_stop:
                stops(owner)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            seconds = await self._round()
            self._pausing = True
            try:
                if not self._trials.ended:
                    async with asyncio.timeout(seconds):
                        await self._wake.wait()
            except TimeoutError:
                pass
            finally:
                self._pausing = False

    async def _round(self) -> float:
        """Follows the folders as far as they are now; gives the seconds until they are to be looked at again."""
        try:
            seen, more, changed = await self._reconciler.round()
        except StoreUnavailable as error:
            log.error("changed modules cannot be stored, what served serves on: %s", error)
            return BLIND_RESCAN_SECS
        self._watch.watch(seen.folders)
        for owner in changed:
            for changes in self.on_change:
                changes(owner)
        if more:
            return 0.0
        if not self._trials.running:
            self._ready.set()
        rescan = RESCAN_SECS if self._watch.working else BLIND_RESCAN_SECS
        return min(rescan, self._reconciler.refusals.next_retry())
