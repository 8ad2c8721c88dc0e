"""What the import statements of a tenant's code may name: what is on its plan's list, and what it brings along.

This tells authors what they can rely on. It holds nobody who means to get round it: that is for the sandbox.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from calls import frames


class AllowList:
    """Built-in names for a tenant's modules, whose `__import__` asks the list. Every other module keeps Python's own,
    and imports what it likes."""

    def __init__(self, imports: frames.Imports) -> None:
        self.builtins: Final[dict[str, Any]] = vars(builtins) | {"__import__": self._import}
        self._plan = imports.plan
        self._names = set(imports.names)

    def add(self, names: Iterable[str]) -> None:
        """The tenant has brought these along."""
        self._names.update(names)

    def install(self) -> None:
        """Has `importlib.import_module` ask as well, when it is the tenant's code that calls it."""
        original = importlib.import_module

        @functools.wraps(original)
        def import_module(name: str, package: str | None = None) -> ModuleType:
            if sys._getframe(1).f_builtins is self.builtins and not name.startswith("."):
                self._check(name)
            return original(name, package)

        importlib.import_module = import_module

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        # With an empty list it is no statement, but C code that imports what it needs: PyImport_Import calls the
        # `__import__` of whichever module runs (strptime, pickle).
        if not level and fromlist != []:
            self._check(name)
        return _IMPORT(name, globals, locals, fromlist or (), level)

    def _check(self, name: str) -> None:
        top = name.partition(".")[0]
        if top in self._names:
            return
        means = "have the admin add it to `imports` of this plan in plans.toml, or give you another plan"
        if top in sys.stdlib_module_names:
            raise ImportError(f"{top} is not on the import allow-list of plan {self._plan}: {means}", name=name)
        raise ModuleNotFoundError(
            f"{top} is not on the import allow-list of plan {self._plan}, nor in your bundle: bring it along (a "
            f"package's folder `vendored`), {means}",
            name=name,
        )


_IMPORT: Final = builtins.__import__
