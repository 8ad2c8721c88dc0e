"""Environment variables that one module finds and the owner's other modules do not."""

from __future__ import annotations

import os
from collections.abc import Mapping


class ModuleVariables:
    """Puts those of one module at a time into the environment, over what all modules find."""

    def __init__(self, by_module: Mapping[str, Mapping[str, str]]) -> None:
        self._by_module = by_module
        self._entered: str | None = None
        self._covered: dict[str, str | None] = {}
        """What the entered module's stand in place of; None: nothing was there."""

    def enter(self, module: str) -> bool:
        """What is run from now on is this module's. Whether that changed the environment."""
        if not self._by_module or module == self._entered:
            return False
        self._entered = module
        own = self._by_module.get(module, {})
        if not own and not self._covered:
            return False
        for name, value in self._covered.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._covered = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        return True
