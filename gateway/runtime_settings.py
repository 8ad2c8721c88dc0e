"""The settings that may change while the platform runs: how many URL parameters there are, and their names, and
which calls take a token.

They start as `.env` says. A change is kept in the store, so it outlives a restart and beats `.env`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from settings import MAX_URL_PARMS, RequireTokens, Settings, check_parameter_names, parameter_names
from store.contract import Store

log = logging.getLogger("plugbay.settings")

COUNT: Final = "NUM_URL_PARMS"
STORE_KEY: Final = "url_parameters"
"""All changes of URL parameters stand under this one name: they are kept together or not at all."""
TOKENS: Final = "REQUIRE_TOKENS"
TOKENS_KEY: Final = "require_tokens"
"""The change of that stands for itself: nothing else may make it be left out."""

_NAME: Final = re.compile(r"URL_PARM([1-9][0-9]?|100)")


class BadChange(Exception):
    """A run-time setting cannot have this value; nothing was changed."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class RuntimeSetting(msgspec.Struct, frozen=True):
    """One run-time setting now."""

    name: str
    value: int | str
    default: int | str
    """What the platform was started with; None in a change goes back to it."""
    source: str
    """`control plane` when it was changed, else `.env`."""


class RuntimeSettings:
    """`url_parameters` and `require_tokens` are read anew for every call, so a change counts from the next one on."""

    def __init__(self, settings: Settings, store: Store, told_secs: float = 0) -> None:
        """`told_secs`: seconds in which all other processes know of a change; 0 when there are none."""
        self._store = store
        self._told_secs = told_secs
        self._tokens = settings.REQUIRE_TOKENS
        self.require_tokens: RequireTokens = self._tokens
        """Which calls take a token."""
        self._tokens_changed = False
        self._count = settings.NUM_URL_PARMS
        self._names = dict(enumerate(settings.URL_PARMS, 1))
        self._changes: dict[str, int | str] = {}
        self._changing = asyncio.Lock()
        self.url_parameters = parameter_names(self._count, self._names)
        """Names of the URL parameters in order; a call may have as many as there are names."""

    async def load(self) -> None:
        """Takes up what was changed before the last stop. Raises StoreUnavailable.

        A change that no longer goes with `.env` is left out with a warning, not forgotten.
        """
        tokens = await self._store.setting(TOKENS_KEY)
        self._require(None if tokens is None else _required(tokens))
        kept = await self._store.setting(STORE_KEY)
        if kept is None:
            return
        try:
            changes = msgspec.json.decode(kept, type=dict[str, int | str])
            self.url_parameters = self._resolve(changes)
            self._changes = changes
        except (msgspec.DecodeError, BadChange) as error:
            log.warning("run-time settings are as in .env, because the stored change does not go with it: %s", error)

    async def change(self, changes: Mapping[str, int | str | None]) -> None:
        """Changes the named settings; None goes back to `.env`. All are checked before any is kept. When it returns,
        tokens are required everywhere that they are to be. Raises BadChange with the field, or StoreUnavailable."""
        async with self._changing:
            others = {name: value for name, value in changes.items() if name != TOKENS}
            for name in others:
                if name != COUNT:
                    _number(name)
            merged = {**self._changes, **others}
            kept = {name: value for name, value in merged.items() if value is not None}
            names = self._resolve(kept)
            tokens = _checked_tokens(changes.get(TOKENS))
            if others:
                await self._store.put_setting(STORE_KEY, msgspec.json.encode(kept).decode() if kept else None)
                self._changes = kept
                self.url_parameters = names
            if TOKENS in changes:
                await self._change_tokens(tokens)
        log.info("run-time settings changed: %s", ", ".join(f"{name}={value!r}" for name, value in changes.items()))

    async def _change_tokens(self, wanted: RequireTokens | None) -> None:
        before = self.require_tokens
        await self._store.put_setting(TOKENS_KEY, wanted)
        self._require(wanted)
        if _strictness(self.require_tokens) > _strictness(before):
            await asyncio.sleep(self._told_secs)

    def _require(self, changed: RequireTokens | None) -> None:
        self.require_tokens = self._tokens if changed is None else changed
        self._tokens_changed = changed is not None

    def view(self) -> list[RuntimeSetting]:
        """Which calls take a token, then the count, then every name that is in use or changed, in order."""
        source = "control plane" if self._tokens_changed else ".env"
        shown = [
            RuntimeSetting(TOKENS, self.require_tokens, self._tokens, source),
            self._shown(COUNT, self._count),
        ]
        for number in range(1, MAX_URL_PARMS + 1):
            name = f"URL_PARM{number}"
            if number <= len(self.url_parameters) or name in self._changes:
                shown.append(self._shown(name, self._names.get(number, f"parm_{number}")))
        return shown

    def _shown(self, name: str, default: int | str) -> RuntimeSetting:
        source = "control plane" if name in self._changes else ".env"
        return RuntimeSetting(name, self._changes.get(name, default), default, source)

    def _resolve(self, changes: Mapping[str, int | str]) -> tuple[str, ...]:
        """The names in use under these changes. Raises BadChange."""
        count = changes.get(COUNT, self._count)
        if not isinstance(count, int) or not 0 <= count <= MAX_URL_PARMS:
            raise BadChange(COUNT, f"must be an integer from 0 to {MAX_URL_PARMS}")
        given = dict(self._names)
        for name, value in changes.items():
            if name != COUNT:
                given[_number(name)] = _parameter(name, value)
        names = parameter_names(count, given)
        try:
            return check_parameter_names(names)
        except ValueError as error:
            twice = (name for name, value in changes.items() if names.count(str(value)) > 1)
            raise BadChange(next(twice, COUNT), str(error)) from error


def _checked_tokens(value: int | str | None) -> RequireTokens | None:
    if value is not None and value not in get_args(RequireTokens):
        raise BadChange(TOKENS, f"must be one of {', '.join(get_args(RequireTokens))}")
    return None if value is None else _required(str(value))


def _required(kept: str) -> RequireTokens:
    """What is kept; whatever it is not meant to be, is the strictest."""
    return next((known for known in get_args(RequireTokens) if known == kept), "all")


def _strictness(required: RequireTokens) -> int:
    return get_args(RequireTokens).index(required)


def _number(name: str) -> int:
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadChange(
            name, f"is no run-time setting; these are {TOKENS}, {COUNT} and URL_PARM1 to URL_PARM{MAX_URL_PARMS}"
        )
    return int(match[1])


def _parameter(field: str, value: int | str) -> str:
    if not isinstance(value, str):
        raise BadChange(field, "must be a string")
    try:
        check_parameter_names((value,))
    except ValueError as error:
        raise BadChange(field, str(error)) from error
    return value
