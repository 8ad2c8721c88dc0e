"""An owner's environment variables that the store has, as its workers are given them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from runner.launcher import LaunchFailed
from store.sealing import Unsealable
from store.variables import Variable


class VariablesOf(Protocol):
    """Knows every owner's variables."""

    async def __call__(self, owner: str) -> tuple[Variable, ...]:
        """An owner's, as they are now. Raises Unsealable, StoreUnavailable."""


async def none(owner: str) -> tuple[Variable, ...]:  # noqa: ARG001
    """Of owners that have none. See VariablesOf."""
    return ()


class OwnVariables:
    """Those of one owner. Before the first `load` there are none."""

    def __init__(self, owner: str, variables_of: VariablesOf) -> None:
        self.everywhere: dict[str, str] = {}
        """What all of its modules find."""
        self.by_module: dict[str, dict[str, str]] = {}
        """What one module finds besides, or in place of that."""
        self._owner = owner
        self._variables_of = variables_of
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Takes them as they are now. Raises StoreUnavailable, and LaunchFailed when they cannot be read."""
        async with self._lock:  # who reads later sets later
            try:
                variables = await self._variables_of(self._owner)
            except Unsealable as error:
                raise LaunchFailed(f"the variables of this owner cannot be read: {error}") from error
            self.everywhere = {one.name: one.value for one in variables if not one.module}
            self.by_module = {}
            for one in variables:
                if one.module:
                    self.by_module.setdefault(one.module, {})[one.name] = one.value
