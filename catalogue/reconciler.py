"""Makes the store hold what is good in the plugin folders: one round after the other, each in one step per owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from catalogue.header import Header
from catalogue.refusals import Refusals
from catalogue.report import Report
from catalogue.sources import Seen, Sources, Version
from catalogue.trials import Failure, Trial, Trials
from catalogue.view import Skipped
from catalogue.views import Views, readable
from store.contract import Module, ModuleSet, Store

log = logging.getLogger("plugbay.catalogue")

ROUND_SECS: Final = 1.0
"""Seconds a round waits for its trials; what takes longer serves in a later one."""

RENAME_SECS: Final = 15.0
"""The same of a round in which modules come and go: it may be one module under another name."""

BATCH: Final = 200
BATCH_BYTES: Final = 64 * 1024 * 1024
"""Modules tried in one round, and their bundles together."""


class Reconciler:
    """What is stored and shown of each owner, and how it follows the plugin folders. Used by one task."""

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
        self._sets: dict[str, ModuleSet] = {}
        self._stored: dict[tuple[str, str], Module] = {}
        """All modules of the sets that came from a plugin folder, by owner and name."""
        self._tenants: set[str] = set()
        """Owners in the folders that are registered."""
        self._skipped: tuple[Skipped, ...] = ()

    async def load(self) -> None:
        """Shows what is stored. Raises StoreUnavailable."""
        for owner in {self._admin, *await self._store.owners()}:
            self._keep(await self._store.modules(owner))
        # What was parsed once need not be parsed again. Only the admin's: theirs are not known by a text in them.
        self._sources.known = {
            (module.name, module.digest): Header(alias=module.alias)
            for (owner, _), module in self._stored.items()
            if owner == self._admin
        }
        await asyncio.to_thread(self._publish)  # milliseconds for thousands of modules

    async def round(self) -> tuple[Seen, bool, list[str]]:
        """Looks at the folders once, has a batch of new versions tried, stores and shows what is good.

        Gives what was seen, whether more is to be tried at once, and the owners with a new revision.
        Raises StoreUnavailable; what is shown is then what was shown before, or is stored.
        """
        environment = self._environment()
        seen = await self._sources.look()
        self._tell_skipped(seen.skipped)
        await self._find_tenants(seen)
        self.refusals.keep(seen.versions.keys())
        wanted = {name: self._trial(version, environment) for name, version in seen.versions.items()}
        due = self._due(wanted)
        batch = _first(due)
        await self._try(batch, comes_and_goes=bool(self._gone(wanted, seen, {})))
        changed = await self._commit(wanted, seen)
        await asyncio.to_thread(self._publish)  # milliseconds for thousands of modules
        return seen, len(batch) < len(due), changed

    def _trial(self, version: Version, environment: str) -> Trial:
        name, header = version.found.name, version.header
        owner = header.owner or self._admin
        if header.problem:  # whose it is cannot be told: it stays with whom the last good version belongs to
            owner = next((owner for owner in self._sets if (owner, name) in self._stored), self._admin)
        return Trial(owner=owner, version=version, environment=environment if owner == self._admin else "")

    async def _find_tenants(self, seen: Seen) -> None:
        named = {version.header.owner for version in seen.versions.values()} - {None, self._admin}
        for uuid in named - self._tenants:
            if uuid and await self._store.tenant(uuid):
                self._tenants.add(uuid)
                self.refusals.retry(uuid, curable_only=False)

    def _registered(self, owner: str) -> bool:
        return owner == self._admin or owner in self._tenants

    def _due(self, wanted: dict[str, Trial]) -> list[Trial]:
        """What is to be tried now, the latest first."""
        due: list[Trial] = []
        running = self.trials.running
        for name, trial in wanted.items():
            header = trial.version.header
            stored = self._stored.get((trial.owner, name))
            if self.refusals.stands(trial) or running.get(name) == trial:
                continue
            if header.problem:
                self._refuse(trial, Failure(text=header.problem, line=header.line or None))
            elif not self._registered(trial.owner):
                self._refuse(trial, Failure(text=f"no tenant is registered under its __ID__ {trial.owner}"))
            elif stored and (stored.digest, stored.environment) == (trial.version.digest, trial.environment):
                self.refusals.lift(name)
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
        comes_and_goes &= any((trial.owner, trial.name) not in self._stored for trial in started)
        await self.trials.wait(started, RENAME_SECS if comes_and_goes else ROUND_SECS)

    async def _commit(self, wanted: dict[str, Trial], seen: Seen) -> list[str]:
        """Stores what is good and still stands in its folder, and removes what is gone; gives whose set changed."""
        put = self._moved(wanted)
        verdicts = [(trial, verdict) for trial, verdict in self.trials.take() if wanted.get(trial.name) == trial]
        standing = await self._sources.standing([trial.version for trial, _ in verdicts])
        for trial, verdict in verdicts:
            if trial.name not in standing:
                continue
            if isinstance(verdict, Failure):
                self._refuse(trial, verdict)
            else:
                self.refusals.lift(trial.name)
                put.setdefault(trial.owner, {})[trial.name] = _module(trial, verdict)
        remove = self._gone(wanted, seen, put)
        changed: list[str] = []
        for owner in sorted(put.keys() | remove.keys(), key=lambda one: one not in put):  # first comes, then goes
            before = self._sets.get(owner) or _nothing(owner)
            after = await self._store.change_modules(owner, list(put.get(owner, {}).values()), remove.get(owner, []))
            self._keep(after)
            if before.revision != after.revision:
                changed.append(owner)
                self.refusals.retry(owner, curable_only=True)
                _tell_change(before, after)
        return changed

    def _moved(self, wanted: dict[str, Trial]) -> dict[str, dict[str, Module]]:
        """Stored modules that stand in another folder now, by owner and name."""
        moved: dict[str, dict[str, Module]] = {}
        for (owner, name), module in self._stored.items():
            trial = wanted.get(name)
            if trial and trial.owner == owner and trial.version.digest == module.digest:
                place = trial.version.found.place
                if module.source != place:
                    moved.setdefault(owner, {})[name] = msgspec.structs.replace(module, source=place)
        return moved

    def _gone(self, wanted: dict[str, Trial], seen: Seen, put: dict[str, dict[str, Module]]) -> dict[str, list[str]]:
        """Stored modules that are to stop, by owner: not in the folders any more, or there as somebody else's."""
        remove: dict[str, list[str]] = {}
        for owner, name in self._stored:
            trial = wanted.get(name)
            if trial is None:
                stops = name not in seen.unusable
            elif trial.owner == owner or trial.version.header.problem:
                stops = False
            else:  # the new owner's serves, or nobody's may
                stops = (
                    not self._registered(trial.owner)
                    or (trial.owner, name) in self._stored
                    or name in put.get(trial.owner, {})
                )
            if stops:
                remove.setdefault(owner, []).append(name)
        return remove

    def _keep(self, modules: ModuleSet) -> None:
        owner = modules.owner
        self._sets[owner] = modules = readable(modules, self._sets.get(owner))
        self._stored = {key: module for key, module in self._stored.items() if key[0] != owner}
        # Other modules were uploaded, and no folder says anything about them.
        self._stored |= {(owner, one.name): one for one in modules.modules if one.source.startswith("/")}

    def _publish(self) -> None:
        refusals = self.refusals.all()
        owners = self._sets.keys() | {one.trial.owner for one in refusals if self._registered(one.trial.owner)}
        homeless = [one.problem for one in refusals if not self._registered(one.trial.owner)]
        for owner in owners:
            self.views.publish(
                self._sets.get(owner) or _nothing(owner),
                [one for one in refusals if one.trial.owner == owner],
                homeless if owner == self._admin else [],
                self._skipped if owner == self._admin else (),
            )

    def _refuse(self, trial: Trial, failure: Failure) -> None:
        if self.refusals.refuse(trial, failure):
            effect = (
                "its last good version serves on" if (trial.owner, trial.name) in self._stored else "does not serve"
            )
            log.warning("module %s of %s: %s (%s)", trial.name, trial.owner, failure.text, effect)

    def _tell_skipped(self, skipped: tuple[Skipped, ...]) -> None:
        for one in set(skipped) - set(self._skipped):
            log.warning("skipped %s: %s", one.path, one.reason)
        self._skipped = skipped


def _first(due: list[Trial]) -> list[Trial]:
    """The first batch of them."""
    size = 0
    for number, trial in enumerate(due):
        size += trial.version.size
        if number and (number >= BATCH or size > BATCH_BYTES):
            return due[:number]
    return due


def _module(trial: Trial, report: Report) -> Module:
    return Module(
        owner=trial.owner,
        name=trial.name,
        alias=trial.version.header.alias,
        digest=trial.version.digest,
        source=trial.version.found.place,
        environment=trial.environment,
        report=msgspec.json.encode(report),
    )


def _nothing(owner: str) -> ModuleSet:
    return ModuleSet(owner=owner, revision=0, modules=())


def _tell_change(before: ModuleSet, after: ModuleSet) -> None:
    old = {module.name: module for module in before.modules}
    new = {module.name: module for module in after.modules}
    parts = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "stopped": [name for name in old if name not in new],
    }
    told = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
    log.info("modules of %s at revision %d: %s", after.owner, after.revision, told)
