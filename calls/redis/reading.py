"""What is believed of what comes through Redis. Whoever can reach it can send anything, so both sides check
every field of every message before they act on it; what does not pass is dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from typing import Final, TypeVar

import msgspec

from calls.call import Call, Kind, Reply
from calls.durations import BOUNDS, Durations
from calls.frames import MAX_FRAME
from calls.pools import KINDS, PoolStatus, Tally
from calls.redis.wire import Answered, Done, GatewayBeat, HostBeat, Invocation, Order

MAX_BEAT: Final = 4 * 1024 * 1024
"""Bytes of a sign of life; that of a host describes its pools."""
_MAX_NAMES: Final = 36 + 63 + 200
"""Characters of owner, module and function."""
_MAX_BATCH: Final = 10_000
"""Candidate modules of an inspection."""
_MAX_RETRY_SECS: Final = 86400.0
_MAX_COUNT: Final = 2**53
_SLACK_SECS: Final = 120.0
"""Seconds a deadline may be later than any call's: clocks differ, and inspections wait for a minute."""

_T = TypeVar("_T")
_HEX = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MODULE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Forged(Exception):
    """No gateway and no host of this platform sends this. `call` is the id of the call it answers, if any."""

    def __init__(self, problem: str, call: str = "") -> None:
        super().__init__(problem)
        self.call = call


_to_host: msgspec.msgpack.Decoder[Invocation | Order] = msgspec.msgpack.Decoder(Invocation | Order)
_to_gateway: msgspec.msgpack.Decoder[Answered | Done] = msgspec.msgpack.Decoder(Answered | Done)
_gateway_beat = msgspec.msgpack.Decoder(GatewayBeat)
_host_beat = msgspec.msgpack.Decoder(HostBeat)
_batch = msgspec.msgpack.Decoder(dict[str, str])


@dataclass(frozen=True)
class CallBounds:
    """What a host accepts of a call."""

    max_secs: float
    """Seconds a function or an import may be given."""
    max_wait_secs: float
    """Seconds a call may be given on top, for waiting."""


def read_by_host(message: bytes, bounds: CallBounds, now: float) -> Invocation | Order:
    """A gateway's message. Raises Forged."""
    found = _decode(_to_host, message, MAX_FRAME)
    _require(_HEX.fullmatch(found.gateway), "gateway")
    if isinstance(found, Invocation):
        _check_call(found.call, bounds, now)
    else:
        _require(_HEX.fullmatch(found.order), "order")
        _require(is_name(found.target), "target")
        _require(0 <= found.size <= _MAX_COUNT, "size")
    return found


def read_by_gateway(message: bytes) -> Answered | Done:
    """A host's message. Raises Forged."""
    found = _decode(_to_gateway, message, MAX_FRAME)
    if isinstance(found, Answered):
        _check_reply(found.reply)
    elif found.status is not None:
        _check_pool(found.status)
    return found


def read_gateway_beat(message: bytes) -> GatewayBeat:
    """A gateway's sign of life. Raises Forged."""
    beat = _decode(_gateway_beat, message, MAX_BEAT)
    _require(_HEX.fullmatch(beat.incarnation), "incarnation")
    return beat


def read_host_beat(message: bytes) -> HostBeat:
    """A host's sign of life. Raises Forged."""
    beat = _decode(_host_beat, message, MAX_BEAT)
    _require(_HEX.fullmatch(beat.incarnation), "incarnation")
    _require(is_name(beat.name), "host name")
    _require(isfinite(beat.started), "started")
    _require(1 <= beat.capacity <= _MAX_COUNT, "capacity")
    _require(1 <= beat.room <= _MAX_COUNT, "room")
    _require(0 <= beat.load <= _MAX_COUNT, "load")
    for status in beat.pools:
        _check_pool(status)
    _require(beat.tallies.keys() <= {*KINDS}, "tallies")
    for tally in beat.tallies.values():
        _check_tally(tally)
    return beat


def is_name(name: str) -> bool:
    """Whether this can name a host, a pool or a runner."""
    return _NAME.fullmatch(name) is not None


def _check_call(call: Call, bounds: CallBounds, now: float) -> None:
    names = (call.owner, call.module, call.function)
    _require(sum(map(len, names)) <= _MAX_NAMES and _addressable(*names), "owner, module or function")
    latest = now + bounds.max_secs + bounds.max_wait_secs + _SLACK_SECS
    if not (
        0 < call.limit <= bounds.max_secs
        and 0 < call.deadline <= latest
        and 0 <= call.revision <= _MAX_COUNT
        and 0 <= call.concurrency <= _MAX_COUNT
        and _HEX.fullmatch(call.id)
    ):
        raise Forged("its id or one of its numbers is out of bounds")
    if call.kind is Kind.INSPECT:
        _check_batch(_decode(_batch, call.payload, MAX_FRAME))
    _require(bool(call.function) is (call.kind is Kind.INVOKE), "function")


@lru_cache(maxsize=4096)
def _addressable(owner: str, module: str, function: str) -> bool:
    """Whether these can be an owner, a module and a function; an inspection names no function."""
    named = not function or (len(function) <= 200 and _FUNCTION.fullmatch(function))
    return bool(named and _UUID.fullmatch(owner) and _MODULE.fullmatch(module))


def _check_batch(batch: dict[str, str]) -> None:
    _require(len(batch) <= _MAX_BATCH, "batch")
    _require(all(map(_MODULE.fullmatch, batch)) and all(map(_DIGEST.fullmatch, batch.values())), "batch")


def _check_reply(reply: Reply) -> None:
    queue, bind, run = reply.queue, reply.bind, reply.run
    if not (0 <= queue < inf and 0 <= bind < inf and 0 <= run < inf and 0 <= reply.retry_after <= _MAX_RETRY_SECS):
        raise Forged("one of its times is out of bounds", reply.call)


def _check_pool(status: PoolStatus) -> None:
    _require(is_name(status.name) and status.kind in KINDS, "pool")
    _require(all(isfinite(runner.age_secs) for runner in status.runners), "age")


def _check_tally(tally: Tally) -> None:
    _require(0 <= tally.cold_starts <= _MAX_COUNT, "cold starts")
    _require(all(0 <= count <= _MAX_COUNT for count in tally.kills.values()), "kills")
    for durations in (tally.starts, tally.binds):
        _check_durations(durations)


def _check_durations(durations: Durations) -> None:
    _require(len(durations.counts) == len(BOUNDS) + 1, "durations")
    _require(all(0 <= count <= _MAX_COUNT for count in durations.counts), "durations")
    _require(0 <= durations.sum < inf, "durations")


def _require(holds: object, field: str) -> None:
    if not holds:
        raise Forged(f"its {field} is out of bounds")


def _decode(decoder: msgspec.msgpack.Decoder[_T], message: bytes, limit: int) -> _T:
    if len(message) > limit:
        raise Forged(f"its size is {len(message)} bytes, more than {limit}")
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, MemoryError) as error:
        raise Forged(f"it is malformed: {type(error).__name__}") from error
