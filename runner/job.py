"""One accepted call on this host, until it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable

from calls.broker import Answer
from calls.call import Call, Outcome, Reply


class Job:
    """A call with its answer owed. It is answered exactly once; later answers are dropped."""

    __slots__ = ("_answer", "accepted", "answered", "bind", "call", "on_answered", "started")

    def __init__(self, call: Call, answer: Answer) -> None:
        self.call = call
        self.accepted = time.monotonic()
        self.bind = 0.0
        """Seconds of its waiting that went into getting its owner a first runner."""
        self.started = 0.0
        self.answered = False
        self._answer = answer
        self.on_answered: Callable[[Job], None] | None = None

    def start(self) -> None:
        """The call goes to a worker now."""
        self.started = time.monotonic()

    def finish(self, outcome: Outcome, text: str, *, retry_after: float = 1.0, log: bytes = b"") -> None:
        """Answers with the platform's own words."""
        queue, run = self.times()
        self.reply(
            Reply(
                call=self.call.id,
                outcome=outcome,
                payload=text.encode(),
                retry_after=retry_after,
                log=log,
                queue=queue,
                bind=self.bind,
                run=run,
            )
        )

    def times(self) -> tuple[float, float]:
        """Seconds spent waiting besides `bind`, and running."""
        now = time.monotonic()
        started = self.started or now
        return started - self.accepted - self.bind, now - started

    def reply(self, reply: Reply) -> None:
        """Answers."""
        if not self.answered:
            self.answered = True
            if self.on_answered is not None:
                self.on_answered(self)
            self._answer(reply)
