"""What one owner has at one moment: an immutable snapshot, indexed so that a call is resolved by dict look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from catalogue.report import Endpoint, Report

METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH")
"""What a function may be exposed for."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a module, or its newest version, does not serve."""

    module: str
    text: str
    line: int | None = None
    """Line of the source, where known."""
    since: float
    """Unix time at which it was first seen."""
    temporary: bool = False
    """Not the module's fault: it could not be tried, and will be."""


class Skipped(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something in a plugin folder that is not taken as a module."""

    path: str
    """Relative to its folder."""
    reason: str


class Served(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One endpoint of one module, with what every call of it needs."""

    module: str
    """Name of the module: the module itself would make a cycle, and this is out of the collector's sight."""
    endpoint: Endpoint
    prefix: bytes
    """What stands before the value in the body of a 200: `{"status":"OK","response":{"<api>":`."""


class ModuleView:
    """One module as it serves, or, when no version of it was ever good, as it fails."""

    def __init__(
        self,
        *,
        name: str,
        alias: str | None,
        digest: str,
        source: str,
        report: Report,
        problem: Problem | None = None,
    ) -> None:
        self.name = name
        self.alias = alias
        self.digest = digest
        """Content address of the version that serves; empty when none ever did."""
        self.source = source
        """File or package folder, relative to its plugin folder."""
        self.report = report
        self.problem = problem
        """Of a version newer than the one that serves, or of the only one."""
        self.table: dict[str, dict[str, Served]] = {}
        """method → API → endpoint; HEAD is GET."""
        for endpoint in report.endpoints:
            prefix = b'{"status":"OK","response":{' + msgspec.json.encode(endpoint.api) + b":"
            for method in endpoint.methods:
                self.table.setdefault(method, {})[endpoint.api] = Served(self.name, endpoint, prefix)
        if "GET" in self.table:
            self.table["HEAD"] = self.table["GET"]

    @property
    def broken(self) -> bool:
        """True when no version of it was ever good."""
        return not self.digest


class View:
    """All modules of one owner at one revision. Never changed once built."""

    def __init__(
        self,
        owner: str,
        revision: int,
        modules: Iterable[ModuleView] = (),
        problems: Iterable[Problem] = (),
        skipped: Iterable[Skipped] = (),
    ) -> None:
        self.owner = owner
        self.revision = revision
        self.modules: Mapping[str, ModuleView] = MappingProxyType({module.name: module for module in modules})
        self.aliases: dict[str, list[ModuleView]] = {}
        """alias → who claims it: one module, or several that make it ambiguous."""
        self.apis: dict[str, dict[str, Served | list[Served]]] = {}
        """method → API → endpoint, or a list of them when several modules expose it; HEAD is GET."""
        for module in self.modules.values():
            if not module.broken:
                self._claim(module)
            for method, endpoints in module.table.items():
                self._add(method, endpoints)
        for module in self.modules.values():
            if module.broken and module.alias not in self.aliases:
                self._claim(module)  # nobody who serves is kept from an alias by somebody who does not
        self.named: dict[str, ModuleView | list[ModuleView]] = dict(self.modules)
        """module or alias → module; a list when several claim the alias."""
        for alias, claimants in self.aliases.items():
            self.named[alias] = claimants[0] if len(claimants) == 1 else claimants
        self.problems = tuple(problems)
        """Those of no module listed here."""
        self.skipped = tuple(skipped)

    def _claim(self, module: ModuleView) -> None:
        if module.alias is not None and module.alias not in self.modules:
            self.aliases.setdefault(module.alias, []).append(module)

    def _add(self, method: str, endpoints: dict[str, Served]) -> None:
        apis = self.apis.setdefault(method, {})
        for api, served in endpoints.items():
            other = apis.setdefault(api, served)
            if other is served:
                continue
            if isinstance(other, Served):
                apis[api] = [other, served]
            else:
                other.append(served)
