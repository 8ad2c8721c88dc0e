"""What gateways and hosts send each other. `calls.redis.reading` says what of it is believed."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from calls.call import Call, Reply
from calls.pools import PoolStatus, Tally


class _Message(msgspec.Struct, array_like=True, frozen=True, tag_field="t", forbid_unknown_fields=True):
    pass


# From gateways to a host's list.


class Invocation(_Message, frozen=True, tag=1):
    """Run this, and answer to this incarnation of a gateway."""

    gateway: str
    call: Call


class OrderKind(IntEnum):
    """What an Order asks for."""

    SCALE = 0
    """`target` is a pool, `size` its runners wanted."""
    DRAIN_POOL = 1
    DRAIN_RUNNER = 2
    DRAIN_HOST = 3
    RESUME_HOST = 4


class Order(_Message, frozen=True, tag=2):
    """Do this, and answer to this incarnation of a gateway."""

    gateway: str
    order: str
    kind: OrderKind
    target: str
    """Name of a pool or of the host, or id of a runner."""
    size: int = 0


# From hosts to a gateway's list.


class Answered(_Message, frozen=True, tag=1):
    """The answer to an Invocation."""

    reply: Reply


class Refusal(IntEnum):
    """Why an Order was not carried out."""

    UNKNOWN = 0
    """The host has no such pool or runner, or is another one."""
    BAD_SIZE = 1
    BUSY = 2


class Done(_Message, frozen=True, tag=2):
    """The answer to an Order: the pool concerned as it is now, or why nothing was done."""

    order: str
    status: PoolStatus | None = None
    refusal: Refusal | None = None
    problem: str = ""


# Signs of life.


class GatewayBeat(_Message, frozen=True, tag=1):
    """A gateway lives."""

    incarnation: str
    leaving: bool


class HostState(IntEnum):
    """Whether a host takes calls."""

    SERVING = 0
    DRAINING = 1
    """It finishes what it has; new calls go elsewhere."""
    GONE = 2


class HostBeat(_Message, frozen=True, tag=2):
    """A host lives, and this is how it is."""

    name: str
    """The same through all its incarnations."""
    incarnation: str
    started: float
    """Unix time at which this incarnation began."""
    state: HostState
    capacity: int
    """Calls it runs well at once."""
    room: int
    """Unanswered calls it holds at most."""
    load: int
    """Unanswered calls it holds, of all gateways."""
    pools: tuple[PoolStatus, ...]
    tallies: dict[str, Tally]


encode = msgspec.msgpack.Encoder().encode
