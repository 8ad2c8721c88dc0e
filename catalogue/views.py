"""The view of each owner, built anew when something in it changed and exchanged in one step."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import PurePath

import msgspec

from catalogue import report as reports
from catalogue.refusals import Refusal
from catalogue.report import Report
from catalogue.view import ModuleView, Problem, Skipped, View
from store.contract import Module, ModuleSet


class Views:
    """All views there are."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._shown: dict[str, object] = {}
        """What the view of each owner was built from."""
        self._modules: dict[tuple[str, str], tuple[Module, Problem | None, ModuleView]] = {}
        """By owner and name: what does not change is not built again."""
        self._clashes: dict[tuple[str, str], Problem] = {}
        """By owner and text."""

    def get(self, owner: str) -> View | None:
        """The newest view of this owner; None when it never had modules."""
        return self._views.get(owner)

    def problems(self) -> list[Problem]:
        """Everything that does not serve, of all owners."""
        views = self._views.values()
        return [
            problem
            for view in views
            for problem in (*(one.problem for one in view.modules.values()), *view.problems)
            if problem is not None
        ]

    def publish(
        self, modules: ModuleSet, refusals: Sequence[Refusal], homeless: Sequence[Problem], skipped: tuple[Skipped, ...]
    ) -> None:
        """Shows an owner's modules, the versions of them that do not serve, problems of no module, and what was skipped."""
        owner = modules.owner
        content = (modules, [(one.trial, one.problem) for one in refusals], homeless, skipped)
        if self._shown.get(owner) == content:
            return
        problems = {one.problem.module: one.problem for one in refusals}
        served = [self._module(module, problems.get(module.name)) for module in modules.modules]
        names = {one.name for one in served}
        broken = [_broken(one) for one in refusals if one.problem.module not in names]
        before = self._views.get(owner)
        for name in before.modules.keys() - names if before else ():
            self._modules.pop((owner, name), None)
        view = View(owner, modules.revision, sorted((*served, *broken), key=lambda one: one.name))
        view.problems = (*homeless, *self._alias_clashes(view))
        view.skipped = skipped
        self._views[owner] = view
        self._shown[owner] = content

    def _module(self, module: Module, problem: Problem | None) -> ModuleView:
        key = (module.owner, module.name)
        known = self._modules.get(key)
        if known is not None and known[0] == module and known[1] == problem:
            return known[2]
        built = ModuleView(
            name=module.name,
            alias=module.alias,
            digest=module.digest,
            source=PurePath(module.source).name,
            report=known[2].report if known is not None and known[0] == module else reports.decode(module.report),
            problem=problem,
        )
        self._modules[key] = (module, problem, built)
        return built

    def _alias_clashes(self, view: View) -> Iterable[Problem]:
        texts = {
            f"the alias {alias} is also that of {', '.join(one.name for one in claimants[1:])}: calls of it fail": (
                claimants[0].name
            )
            for alias, claimants in view.aliases.items()
            if len(claimants) > 1
        } | {
            f"the alias {one.alias} of {one.name} is the name of a module, which is called instead": one.name
            for one in view.modules.values()
            if one.alias in view.modules and one.alias != one.name
        }
        for text, name in texts.items():
            self._clashes.setdefault((view.owner, text), Problem(module=name, text=text, since=time.time()))
        for key in [key for key in self._clashes if key[0] == view.owner and key[1] not in texts]:
            del self._clashes[key]
        return [self._clashes[view.owner, text] for text in texts]


def readable(modules: ModuleSet, read: ModuleSet | None) -> ModuleSet:
    """The modules whose report can be read: one made by another Plugbay may have another form.

    Those that are in `read` too have been read before.
    """
    known = {module.name: module for module in read.modules} if read else {}

    def reads(module: Module) -> bool:
        if known.get(module.name) == module:
            return True
        try:
            reports.decode(module.report)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return True

    return msgspec.structs.replace(modules, modules=tuple(filter(reads, modules.modules)))


def _broken(refusal: Refusal) -> ModuleView:
    found = refusal.trial.version.found
    return ModuleView(
        name=found.name,
        alias=refusal.trial.version.header.alias,
        digest="",
        source=found.path,
        report=Report(),
        problem=refusal.problem,
    )
