"""The runner hosts that a gateway hears of, and which of them gets a call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from calls.broker import ALL_DRAINING, NO_HOST, Refused
from calls.redis.keys import MAX_PEERS, TTL_TICKS
from calls.redis.wire import HostBeat, HostState

_TOLERANCE: Final = 1.25
"""How far above its part of all calls a host may be before calls go to the next one."""
_MAX_RANKINGS: Final = 10_000


class KnownHost:
    """One host, as it said last."""

    __slots__ = ("beat", "heard", "others")

    def __init__(self, beat: HostBeat) -> None:
        self.beat = beat
        self.heard = 0
        """Tick of the gateway's at which it was heard last."""
        self.others = 0
        """Unanswered calls it has of other gateways."""


class Hosts:
    """`own` counts this gateway's unanswered calls by incarnation; `lost` is told of an incarnation that is over."""

    def __init__(self, own: Counter[str], lost: Callable[[str, str], None]) -> None:
        self._own = own
        self._lost = lost
        self._hosts: dict[str, KnownHost] = {}
        self._rankings: dict[str, list[str]] = {}
        self.there = asyncio.Event()
        """Set while a host takes calls."""

    def heard(self, beat: HostBeat, tick: int) -> str | None:
        """Takes note of a sign of life. Gives the reason when it is not believed."""
        known = self._hosts.get(beat.name)
        if known is not None and known.beat.incarnation != beat.incarnation:
            if beat.started < known.beat.started:
                return f"two hosts have the name {beat.name}: give each its own"
            self._forget(beat.name, "the runner host was restarted")
            known = None
        if beat.state is HostState.GONE:
            if known is not None:
                self._forget(beat.name, "the runner host went away")
            return None
        if known is None:
            if len(self._hosts) >= MAX_PEERS:
                return f"there are more than {MAX_PEERS} hosts"
            known = self._hosts[beat.name] = KnownHost(beat)
            self._rankings.clear()
        known.beat = beat
        known.heard = tick
        known.others = max(0, beat.load - self._own[beat.incarnation])
        self._announce()
        return None

    def tick(self, tick: int) -> None:
        """Gives up hosts that were silent for too long."""
        for name, known in list(self._hosts.items()):
            if tick - known.heard >= TTL_TICKS:
                self._forget(name, "the runner host died")

    def clear(self) -> None:
        """Nothing is known any more."""
        self._hosts.clear()
        self._rankings.clear()
        self.there.clear()

    def _forget(self, name: str, why: str) -> None:
        known = self._hosts.pop(name)
        self._rankings.clear()
        self._announce()
        self._lost(known.beat.incarnation, why)

    def _announce(self) -> None:
        if any(known.beat.state is HostState.SERVING for known in self._hosts.values()):
            self.there.set()
        else:
            self.there.clear()

    @property
    def problem(self) -> str | None:
        """Why no host takes calls, if so."""
        if self.there.is_set():
            return None
        return ALL_DRAINING if self._hosts else NO_HOST

    @property
    def known(self) -> list[HostBeat]:
        """What each host said last, in the order of their names."""
        return [self._hosts[name].beat for name in sorted(self._hosts)]

    def choose(self, owner: str) -> str:
        """Incarnation of the host for this owner's next call: always the same one, whose runners are warm, or
        the owner's next where that one has more than its share of all calls. Raises Refused."""
        loads: list[tuple[HostBeat, int]] = []
        serving = False
        for name in self.ranked(owner):
            known = self._hosts[name]
            beat = known.beat
            if beat.state is HostState.SERVING:
                load = self._own[beat.incarnation] + known.others
                if not serving and load < beat.capacity and load < beat.room:
                    return beat.incarnation
                serving = True
                if load < beat.room:
                    loads.append((beat, load))
        if not serving:
            raise Refused(self.problem or NO_HOST, limited=False)
        if not loads:
            raise Refused("the queue of every runner host is full (MAX_QUEUE_TOTAL)", limited=False)
        per_capacity = _TOLERANCE * sum(load for _, load in loads) / sum(beat.capacity for beat, _ in loads)
        # Not all can be above the part that is theirs, so one is always found.
        return next(beat.incarnation for beat, load in loads if load < max(beat.capacity, per_capacity * beat.capacity))

    def ranked(self, owner: str) -> list[str]:
        """Names of all hosts, in the order in which this owner prefers them (rendezvous hashing): when a host
        comes or goes, only owners whose first it is are moved."""
        ranking = self._rankings.get(owner)
        if ranking is None:
            if len(self._rankings) >= _MAX_RANKINGS:
                self._rankings.clear()
            ranking = sorted(self._hosts, key=lambda name: blake2b(f"{owner} {name}".encode(), digest_size=8).digest())
            self._rankings[owner] = ranking
        return ranking
