"""Environment variables of tenants' functions: sealed as a whole in the store, readable with SECRETS_KEY alone."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from store.contract import Conflict, SealedVariables, VariableStore
from store.sealing import Sealer, Unsealable, variables_of

MAX_VARIABLES: Final = 100
"""Variables of one tenant."""
MAX_BYTES: Final = 64 * 1024
"""Bytes of their names and values together."""
_ATTEMPTS: Final = 10
"""Times that a change is made again because others changed the same tenant's meanwhile."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LOADERS: Final = re.compile(r"PATH|LD_.*|PYTHON.*|GLIBC_TUNABLES|GCONV_PATH|BASH_ENV|IFS|NODE_OPTIONS|PLUGBAY_.*")
"""Names that decide which code a program loads, how its C library and its shell behave, or what Plugbay takes it for."""


def name_flaw(name: str) -> str:
    """Which rule the name of a variable breaks; empty when none."""
    if not _NAME.fullmatch(name):
        return "a name is letters, digits and _, beginning with no digit, 128 at most"
    if _LOADERS.fullmatch(name):
        return f"{name} changes how programs are loaded: take another name"
    return ""


class Variable(msgspec.Struct, frozen=True):
    """One variable."""

    name: str
    value: str
    secret: bool
    """Its value is shown to nobody."""
    module: str = ""
    """The one module that finds it; empty: all of the tenant's."""


class TooMuch(Exception):
    """A tenant's variables would be too many or too long; the message says which bound."""


class Variables:
    """The variables of all tenants."""

    def __init__(self, store: VariableStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def of(self, owner: str) -> tuple[Variable, ...]:
        """A tenant's, by name and module. Raises Unsealable, StoreUnavailable."""
        return self._read(owner, await self._store.get(owner))

    async def set(self, owner: str, variable: Variable) -> bool:
        """Keeps a variable in place of the one of this name and module; False when there was none before.
        Raises TooMuch, Unsealable, Conflict, StoreUnavailable."""
        for _ in range(_ATTEMPTS):
            kept = await self._store.get(owner)
            before = self._read(owner, kept)
            others = [one for one in before if (one.name, one.module) != (variable.name, variable.module)]
            after = sorted([*others, variable], key=lambda one: (one.name, one.module))
            if len(after) > MAX_VARIABLES:
                raise TooMuch(f"a tenant has {MAX_VARIABLES} variables at most")
            if sum(len(one.name) + len(one.value.encode()) for one in after) > MAX_BYTES:
                raise TooMuch(f"a tenant's variables have {MAX_BYTES} bytes at most, names and values together")
            if await self._keep(owner, after, kept):
                return len(others) < len(before)
        raise Conflict("the variables of this tenant are being changed by others")

    async def unset(self, owner: str, name: str, module: str) -> bool:
        """Forgets a variable; False when there is none. Raises Unsealable, Conflict, StoreUnavailable."""
        for _ in range(_ATTEMPTS):
            kept = await self._store.get(owner)
            before = self._read(owner, kept)
            after = [one for one in before if (one.name, one.module) != (name, module)]
            if len(after) == len(before):
                return False
            if await self._keep(owner, after, kept):
                return True
        raise Conflict("the variables of this tenant are being changed by others")

    async def reseal(self) -> int:
        """Seals with the installation's key what is sealed with the one before, and gives how many tenants' that
        were. Raises Unsealable, StoreUnavailable."""
        count = 0
        for owner in await self._store.owners():
            kept = await self._store.get(owner)
            again = self._sealer.reseal(variables_of(owner), kept.sealed) if kept.sealed else None
            if again is not None:
                try:
                    await self._store.put(owner, again, kept.revision)
                except Conflict:  # who changed them has sealed them
                    continue
                count += 1
        return count

    async def _keep(self, owner: str, variables: list[Variable], before: SealedVariables) -> bool:
        """Whether nobody has changed them meanwhile."""
        sealed = self._sealer.seal(variables_of(owner), msgspec.msgpack.encode(variables)) if variables else ""
        try:
            await self._store.put(owner, sealed, before.revision)
        except Conflict:
            return False
        return True

    def _read(self, owner: str, kept: SealedVariables) -> tuple[Variable, ...]:
        if not kept.sealed:
            return ()
        try:
            return msgspec.msgpack.decode(
                self._sealer.read(variables_of(owner), kept.sealed), type=tuple[Variable, ...]
            )
        except msgspec.DecodeError as error:
            raise Unsealable(f"{variables_of(owner)}: what is kept is of another version") from error
