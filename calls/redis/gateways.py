"""The gateways that a host hears of."""

from __future__ import annotations

from collections.abc import Callable

from calls.redis.keys import MAX_PEERS, TTL_TICKS
from calls.redis.wire import GatewayBeat


class Gateways:
    """Living ones by incarnation; `lost` is told of each that is over, with the reason."""

    def __init__(self, lost: Callable[[str, str], None]) -> None:
        self._lost = lost
        self._heard: dict[str, int] = {}

    def __contains__(self, gateway: str) -> bool:
        return gateway in self._heard

    def admit(self, gateway: str, tick: int) -> bool:
        """Whether it is one of the gateways now: whoever sends calls is, until it falls silent."""
        if gateway not in self._heard:
            if len(self._heard) >= MAX_PEERS:
                return False
            self._heard[gateway] = tick
        return True

    def heard(self, beat: GatewayBeat, tick: int) -> None:
        """Takes note of a sign of life."""
        if beat.leaving:
            self._forget(beat.incarnation, "left")
        elif self.admit(beat.incarnation, tick):
            self._heard[beat.incarnation] = tick

    def tick(self, tick: int) -> None:
        """Gives up gateways that were silent for too long."""
        for gateway, heard in list(self._heard.items()):
            if tick - heard >= TTL_TICKS:
                self._forget(gateway, "died")

    def _forget(self, gateway: str, why: str) -> None:
        if self._heard.pop(gateway, None) is not None:
            self._lost(gateway, why)

    def clear(self) -> None:
        """Nothing is known any more."""
        self._heard.clear()
