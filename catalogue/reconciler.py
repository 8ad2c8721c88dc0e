"""Makes the store hold what is good in the plugin folders: one round after the other, each in one step per owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from catalogue.header import Header
from catalogue.refusals import Refusals
from catalogue.registered import Registered
from catalogue.sources import Seen, Sources, Version
from catalogue.stored import StoredSets, difference
from catalogue.trials import Failure, Trial, Trials, as_stored, first_batch
from catalogue.view import Skipped
from catalogue.views import Views
from store.contract import Conflict, Module, Role, Store

log = logging.getLogger("plugbay.catalogue")

ROUND_SECS: Final = 1.0
"""Seconds a round waits for its trials; what takes longer serves in a later one."""

RENAME_SECS: Final = 15.0
"""The same of a round in which modules come and go: it may be one module under another name."""


class Reconciler:
    """What is stored and shown of each owner, and how it follows the plugin folders. Rounds are one task's."""

    def __init__(
        self, admin: str, store: Store, sources: Sources, trials: Trials, environment: Callable[[], str]
    ) -> None:
        self.views = Views()
        self.refusals = Refusals()
        self.trials = trials
        self._admin = admin
        self._store = store
        self._sources = sources
        self._environment = environment
        self._stored = StoredSets()
        self._registered = Registered(admin, store)
        self._overtaken = False
        """Whether another process changed a set in this round: what was to be stored in it is tried again."""
        self._skipped: tuple[Skipped, ...] = ()
        self._showing = asyncio.Lock()
        """Held while what is stored is taken up and shown."""

    async def load(self) -> None:
        """Shows what is stored. Raises StoreUnavailable."""
        for owner in {self._admin, *await self._store.owners()}:
            self._stored.keep(await self._store.modules(owner))
        # What was parsed once need not be parsed again. Only the admin's: theirs are not known by a text in them.
        self._sources.known = {
            (module.name, module.digest): Header(alias=module.alias)
            for (owner, _), module in self._stored.from_folders.items()
            if owner == self._admin
        }
        await self._show()

    def tenant_changed(self, uuid: str) -> None:
        """A tenant was registered, changed or removed: the next round looks what that means for its modules."""
        self._registered.changed(uuid)
        self.refusals.retry(uuid, curable_only=False)

    async def reread(self, owner: str) -> bool:
        """Shows an owner's modules as they are stored now; False when they were shown so already.
        May be called beside a round. Raises StoreUnavailable."""
        modules = await self._store.modules(owner)
        async with self._showing:
            known = self._stored.sets.get(owner)
            if known is not None and known.revision >= modules.revision:
                return False
            self._stored.keep(modules)
            self.refusals.retry(owner, curable_only=True)
            self._publish([owner])
            return True

    async def round(self) -> tuple[Seen, bool, list[str]]:
        """Looks at the folders once, has a batch of new versions tried, stores and shows what is good.

        Gives what was seen, whether more is to be tried at once, and the owners with a new revision.
        Raises StoreUnavailable; what is shown is then what was shown before, or is stored.
        """
        environment = self._environment()
        seen = await self._sources.look()
        self._tell_skipped(seen.skipped)
        self._overtaken = False
        owners = {version.header.owner for version in seen.versions.values()} - {None, self._admin}
        for uuid in await self._registered.look(owner for owner in owners if owner):
            self.refusals.retry(uuid, curable_only=False)
        self.refusals.keep(seen.versions.keys())
        wanted = {name: self._trial(version, environment) for name, version in seen.versions.items()}
        due = self._due(wanted)
        batch = first_batch(due)
        await self._try(batch, comes_and_goes=bool(self._gone(wanted, seen, {})))
        changed = await self._commit(wanted, seen)
        await self._show()
        return seen, len(batch) < len(due) or self._overtaken, changed

    def _trial(self, version: Version, environment: str) -> Trial:
        name, header = version.found.name, version.header
        owner = header.owner or self._admin
        if header.problem:  # whose it is cannot be told: it stays with whom the last good version belongs to
            owner = next(
                (owner for owner in self._stored.sets if (owner, name) in self._stored.from_folders), self._admin
            )
        trusted = self._registered.role(owner) is Role.ADMIN  # then the packages are there
        return Trial(owner=owner, version=version, environment=environment if trusted else "")

    def _due(self, wanted: dict[str, Trial]) -> list[Trial]:
        """What is to be tried now, the latest first."""
        due: list[Trial] = []
        running = self.trials.running
        for name, trial in wanted.items():
            header = trial.version.header
            stored = self._stored.from_folders.get((trial.owner, name))
            if self.refusals.stands(trial) or running.get(name) == trial:
                continue
            if header.problem:
                self._refuse(trial, Failure(text=header.problem, line=header.line or None))
            elif trial.owner not in self._registered:
                self._refuse(trial, Failure(text=f"nobody is registered under its __ID__ {trial.owner}"))
            elif (trial.owner, name) in self._stored.uploaded:
                self._refuse(trial, Failure(text="an upload of this name serves instead of the file", curable=True))
            elif stored and (stored.digest, stored.environment) == (trial.version.digest, trial.environment):
                self.refusals.lift(name)
            elif not self._registered.enabled(trial.owner):
                self._refuse(trial, Failure(text=f"{self._registered.role(trial.owner)} {trial.owner} is disabled"))
            else:
                due.append(trial)
        due.sort(key=lambda trial: trial.version.found.modified, reverse=True)
        return due

    async def _try(self, batch: list[Trial], *, comes_and_goes: bool) -> None:
        started: list[Trial] = []
        for trial in batch:
            data = await self._sources.bundle(trial.version)
            if data is not None:  # else it was changed meanwhile, and the next round finds what it is now
                await self._store.put_bundle(data)
                started.append(trial)
        self.trials.start(started)
        comes_and_goes &= any((trial.owner, trial.name) not in self._stored.from_folders for trial in started)
        await self.trials.wait(started, RENAME_SECS if comes_and_goes else ROUND_SECS)

    async def _commit(self, wanted: dict[str, Trial], seen: Seen) -> list[str]:
        """Stores what is good and still stands in its folder, and removes what is gone; gives whose set changed."""
        put = self._moved(wanted)
        verdicts = [(trial, verdict) for trial, verdict in self.trials.take() if wanted.get(trial.name) == trial]
        standing = await self._sources.standing([trial.version for trial, _ in verdicts])
        for trial, verdict in verdicts:
            if trial.name not in standing or (trial.owner, trial.name) in self._stored.uploaded:
                continue
            if isinstance(verdict, Failure):
                self._refuse(trial, verdict)
            else:
                self.refusals.lift(trial.name)
                put.setdefault(trial.owner, {})[trial.name] = as_stored(trial, verdict)
        remove = self._gone(wanted, seen, put)
        changed: list[str] = []
        for owner in sorted(put.keys() | remove.keys(), key=lambda one: one not in put):  # first comes, then goes
            before = self._stored.of(owner)
            try:  # another gateway may have taken an upload, which this must not undo
                after = await self._store.change_modules(
                    owner, list(put.get(owner, {}).values()), remove.get(owner, []), before.revision
                )
            except Conflict:
                self._overtaken = True
                await self.reread(owner)
                continue
            async with self._showing:
                self._stored.keep(after)
            if before.revision != after.revision:
                changed.append(owner)
                self.refusals.retry(owner, curable_only=True)
                log.info("modules of %s at revision %d: %s", owner, after.revision, difference(before, after))
        return changed

    def _moved(self, wanted: dict[str, Trial]) -> dict[str, dict[str, Module]]:
        """Stored modules that stand in another folder now, by owner and name."""
        moved: dict[str, dict[str, Module]] = {}
        for (owner, name), module in self._stored.from_folders.items():
            trial = wanted.get(name)
            if trial and trial.owner == owner and trial.version.digest == module.digest:
                place = trial.version.found.place
                if module.source != place:
                    moved.setdefault(owner, {})[name] = msgspec.structs.replace(module, source=place)
        return moved

    def _gone(self, wanted: dict[str, Trial], seen: Seen, put: dict[str, dict[str, Module]]) -> dict[str, list[str]]:
        """Stored modules that are to stop, by owner: not in the folders any more, or there as somebody else's."""
        remove: dict[str, list[str]] = {}
        for owner, name in self._stored.from_folders:
            trial = wanted.get(name)
            if trial is None:
                stops = name not in seen.unusable
            elif trial.owner == owner or trial.version.header.problem:
                stops = False
            else:  # the new owner's serves, or nobody's may
                stops = (
                    trial.owner not in self._registered
                    or (trial.owner, name) in self._stored.from_folders
                    or name in put.get(trial.owner, {})
                )
            if stops:
                remove.setdefault(owner, []).append(name)
        return remove

    async def _show(self) -> None:
        async with self._showing:
            await asyncio.to_thread(self._publish)  # milliseconds for thousands of modules

    def _publish(self, only: Sequence[str] = ()) -> None:
        """Shows these owners' modules as they are, or everybody's."""
        refusals = self.refusals.all()
        owners = only or self._stored.sets.keys() | {
            one.trial.owner for one in refusals if one.trial.owner in self._registered
        }
        homeless = [one.problem for one in refusals if one.trial.owner not in self._registered]
        for owner in owners:
            self.views.publish(
                self._stored.of(owner),
                [one for one in refusals if one.trial.owner == owner],
                homeless if owner == self._admin else [],
                self._skipped if owner == self._admin else (),
            )

    def _refuse(self, trial: Trial, failure: Failure) -> None:
        if self.refusals.refuse(trial, failure):
            effect = (
                "its last good version serves on"
                if (trial.owner, trial.name) in self._stored.from_folders
                else "does not serve"
            )
            log.warning("module %s of %s: %s (%s)", trial.name, trial.owner, failure.text, effect)

    def _tell_skipped(self, skipped: tuple[Skipped, ...]) -> None:
        for one in set(skipped) - set(self._skipped):
            log.warning("skipped %s: %s", one.path, one.reason)
        self._skipped = skipped
