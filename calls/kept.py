"""The contract for calls that are kept until they have run, and for what they gave. Kinds: `sqlite`, `redis`.

A kept call runs at least once: it is taken, run, and let go only once its result is stored. It is found by an id that
nobody can guess. A result is there for a while, until its owner has more of them than it may, or is taken away.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec

log = logging.getLogger("plugbay.kept")

RECORD_BYTES: Final = 512
"""Bytes that each call and result counts for besides its content: so their number is bounded, too."""
OWNERS_PART: Final = 4
"""Of all bytes that are kept, one owner has at most one in so many parts."""
SWEEP: Final = 100
"""Results whose time is over that one operation forgets at most; the next one goes on."""

_T = TypeVar("_T")


class KeptUnavailable(Exception):
    """Nothing can be kept or looked up now; the message says why, for the log. Callers answer 503."""


class Full(Exception):
    """A bound is reached, and nothing was kept; the message names it.

    `limited` is True when it is the owner's own (429), False when there is no room at all (503).
    """

    def __init__(self, problem: str, *, limited: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.limited = limited


def full_of_owner(much: str, bound: str) -> Full:
    """So much of one owner's is kept and has not run yet."""
    return Full(f"{much} of this owner are kept, and have to run first ({bound})", limited=True)


def full_of_all(much: str, bound: str) -> Full:
    """So much is kept in all."""
    return Full(f"{much} are kept ({bound})", limited=False)


class KeptCall(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A call that was accepted: what it takes to run it, and to answer as if it had been waited for."""

    id: str
    """Finds it; its holder may see the result and forget it."""
    owner: str
    """UUID of the admin or tenant whose function it is."""
    call: str
    """Id of the call, when it is run for the first time."""
    method: str
    path: str
    """As it was sent: it is resolved when the call is run."""
    client: str
    """Address of the client that sent it."""
    payload: bytes
    """Encoded `calls.payload.Arguments`."""
    size: int
    """Bytes of the request's body."""
    accepted: float
    """Unix time."""


class Result(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """An answer that is kept."""

    call: str
    """Id of the call that gave it."""
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    outcome: str
    """Name of how the call ended, for the log."""
    queue: float = 0.0
    bind: float = 0.0
    run: float = 0.0
    """Seconds, as in `calls.call.Reply`."""
    given_up: int = 0
    """How often it was tried, when it was given up; 0: it ran."""


@dataclass(frozen=True)
class Found:
    """What there is under an id."""

    owner: str
    result: Result | None
    """None: it waits or runs."""
    mark: bytes
    """What `hold` was given."""


@dataclass(frozen=True)
class Taken:
    """A call that is to be run now."""

    call: KeptCall
    attempt: int
    """1 the first time."""


@dataclass(frozen=True)
class KeptBounds:
    """How much is kept, and for how long."""

    max_owner: int
    """Calls of one owner that have no result yet."""
    max_total: int
    """The same in all."""
    max_bytes: int
    """Bytes of calls and results in all."""
    secs: float
    """Seconds a result is kept."""
    lease_secs: float
    """Seconds after which a call that was taken is run again, when nobody said that it still runs."""

    @property
    def owner_bytes(self) -> int:
        """Bytes of one owner."""
        return self.max_bytes // OWNERS_PART


class KeptCalls(Protocol):
    """What every kind promises; `tests/calls/test_kept_contract.py` proves it.

    What has completed is there after a crash of this process, and of the machine. Every method but `close` raises
    KeptUnavailable. `most` is how many results the owner may have; its oldest go to make room for newer ones, and the
    oldest of all when there is no room for a result.
    """

    @property
    def waiting(self) -> int:
        """Calls without a result, as far as the last operation told."""

    async def open(self) -> None:
        """Makes what is missing."""

    async def close(self) -> None:
        """Completes what is under way. May be called twice."""

    async def put(self, call: KeptCall, most: int) -> None:
        """Keeps a call, which is to be run; an owner has no more of them than results it may have. Raises Full."""

    async def hold(self, id: str, owner: str, mark: bytes, secs: float) -> Found | None:
        """Takes an id for a result that is to come, and gives None; or what there is under it already. After so many
        seconds without a result it is free again. Raises Full."""

    async def find(self, id: str) -> Found | None:
        """What there is under this id; None when there is nothing, or nothing any more."""

    async def forget(self, id: str) -> bool:
        """Forgets what is under this id; a call that waits is not run any more. False when there was nothing."""

    async def forget_owner(self, owner: str) -> None:
        """Forgets everything of this owner's."""

    async def take(self, but: Collection[str] = ()) -> Taken | None:
        """A call that is to be run now, of none of these owners; None when there is none. Owners take turns, and calls
        of one come in their order. It is this process's until its lease is over."""

    async def renew(self, ids: Collection[str]) -> None:
        """These calls still run here: their leases begin anew."""

    async def again(self, taken: Taken, secs: float, *, counts: bool) -> None:
        """Has a call that was taken be run once more, so many seconds later. When it does not count, this attempt was
        none. Without effect when it was forgotten, or taken once more, meanwhile."""

    async def finish(self, id: str, result: Result, most: int) -> None:
        """Keeps the result of a call that was taken, or of what is held; the first one stands. Without effect when it
        was forgotten meanwhile."""


def size_of(content: bytes) -> int:
    """What counts for something with this content."""
    return RECORD_BYTES + len(content)


encode = msgspec.msgpack.Encoder().encode


def decode(content: bytes, form: type[_T]) -> _T | None:
    """A call or result as it was kept; None when it is none, as after a change of its form."""
    try:
        return msgspec.msgpack.decode(content, type=form)
    except msgspec.DecodeError as error:
        log.error("what was kept as a %s cannot be read, and is forgotten: %s", form.__name__, type(error).__name__)
        return None
