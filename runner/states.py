"""The state machine of a runner. Every transition of every kind goes through `Lifecycle.move`.

    starting → prewarmed → bound → draining → stopped        failed: from any state but stopped
                   └─────────────────↗

An admin's runner is bound as soon as it is prewarmed. Busy and idle are derived from calls in flight,
not states.
"""

from __future__ import annotations

import enum
import logging
from typing import Final

log = logging.getLogger("plugbay.runner")


class State(enum.StrEnum):
    """Where a runner is in its life."""

    STARTING = "starting"
    """Launched; its zygote has not reported yet."""
    PREWARMED = "prewarmed"
    """Ready and owned by nobody."""
    BOUND = "bound"
    """Belongs to one owner, for the rest of its life."""
    DRAINING = "draining"
    """Finishes its calls and takes no more."""
    STOPPED = "stopped"
    """Ended as asked; nothing of it is left."""
    FAILED = "failed"
    """Ended, or had to be ended, unasked; nothing of it is left once destroyed."""


MOVES: Final[dict[State, frozenset[State]]] = {
    State.STARTING: frozenset({State.PREWARMED, State.FAILED}),
    State.PREWARMED: frozenset({State.BOUND, State.DRAINING, State.FAILED}),
    State.BOUND: frozenset({State.DRAINING, State.FAILED}),
    State.DRAINING: frozenset({State.STOPPED, State.FAILED}),
    State.STOPPED: frozenset(),
    State.FAILED: frozenset(),
}


class IllegalMove(Exception):
    """A runner was asked to move where its state does not lead: a defect of the caller."""


class Lifecycle:
    """A runner's state and owner. A bound runner has an owner; a prewarmed one cannot have any."""

    def __init__(self, runner: str) -> None:
        self.runner = runner
        self.state = State.STARTING
        self.owner: str | None = None
        self.reason = ""

    @property
    def over(self) -> bool:
        """True once the runner takes no further move."""
        return not MOVES[self.state]

    def bind(self, owner: str) -> None:
        """Gives the runner to its owner, once. Raises IllegalMove when it ever had one."""
        if self.owner is not None:
            raise IllegalMove(f"runner {self.runner} belongs to {self.owner}")
        self.move(State.BOUND, f"owner {owner}")
        self.owner = owner

    def move(self, to: State, reason: str) -> None:
        """Moves on, and logs it. Raises IllegalMove."""
        if to not in MOVES[self.state]:
            raise IllegalMove(f"runner {self.runner}: {self.state} → {to}")
        log.info("runner %s: %s → %s (%s)", self.runner, self.state, to, reason)
        self.state = to
        self.reason = reason
