"""Names in Redis, and the times that both ends must agree on. An access list needs no more than this:
keys `plugbay:calls:*` and `plugbay:replies:*`, channels `plugbay:hosts` and `plugbay:gateways`, commands
`hello info rpush pexpire blmpop publish subscribe`. A gateway keeps used tokens in Redis too: see `tokens/redis.py`.

Keys hold an incarnation (32 hexadecimal digits), never a name that somebody chose, so none can collide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PREFIX: Final = "plugbay:"


@dataclass(frozen=True)
class Side:
    """What one of the two kinds of process reads and where it speaks."""

    inbox: str
    """Beginning of the key of its own list."""
    speaks: str
    """Channel on which it says that it lives."""
    listens: str
    """Channel of the other kind."""


GATEWAY: Final = Side(f"{_PREFIX}replies:", speaks=f"{_PREFIX}gateways", listens=f"{_PREFIX}hosts")
HOST: Final = Side(f"{_PREFIX}calls:", speaks=f"{_PREFIX}hosts", listens=f"{_PREFIX}gateways")

TICK_SECS: Final = 0.25
"""Seconds from one sign of life to the next."""
TTL_TICKS: Final = 6
"""Signs of life missed in a row after which a process, or Redis itself, counts as dead: 1.5 s. Counted in
ticks of the listener's own, so that whoever was suspended himself condemns nobody."""
SUSPECT_TICKS: Final = 3
"""Ticks that Redis may owe an answer before new calls are refused."""
LIST_SECS: Final = 60
"""Seconds a list outlives the last push to it, when nobody reads it any more."""
BLOCK_SECS: Final = 10
"""Seconds a read waits in Redis before it is asked again."""
READ_COUNT: Final = 128
"""Messages taken from a list at once."""
MAX_PEERS: Final = 256
"""Hosts that a gateway knows, and gateways that a host knows, at most."""
MAX_ORDERS: Final = 64
"""Orders of operators under way at once, on either side."""
