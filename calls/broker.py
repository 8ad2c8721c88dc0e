"""The broker contract: calls go to a runner host, replies come back. Kinds: `inprocess`, `redis`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from calls.call import Call, Reply

NO_HOST: Final = "no runner host is there"
ALL_DRAINING: Final = "every runner host is draining"
"""Why a broker refuses calls."""


class Refused(Exception):
    """The broker did not take the call; nothing of it was run.

    `limited` is True when a limit of the tenant's own is reached (429) and False when the platform
    is full or has no host (503). `retry_after` is in seconds.
    """

    def __init__(self, problem: str, *, limited: bool, retry_after: float = 1.0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.limited = limited
        self.retry_after = retry_after


Answer = Callable[[Reply], None]
"""Given to a host with each call; to be called once, from the event loop. Later ones are ignored."""


class CallHandler(Protocol):
    """A runner host, as a broker sees it."""

    def accept(self, call: Call, answer: Answer) -> None:
        """Takes responsibility for one call: `answer` is called exactly once, at the latest at the
        call's deadline. Never raises and never blocks; a call it cannot run it answers UNAVAILABLE."""


class Broker(Protocol):
    """Carries each call at most once and completes each submission exactly once. This is the gateway's end;
    each kind has its own way to attach a host.

    - `submit` returns at once. Its answer arrives on the event loop that submitted, at the latest
      one second after the call's deadline, whatever happened to the host in between.
    - A call that nobody runs (its deadline passed in a queue) is answered UNAVAILABLE.
    - Unanswered calls are bounded per owner and in all; above that `submit` raises Refused and
      the call was not queued.
    - When a host detaches or dies, its unanswered calls are answered at once: DIED, and inspections, which
      change nothing and may be asked for again, UNAVAILABLE.
    """

    def submit(self, call: Call, answer: Answer) -> None:
        """Sends one call. Raises Refused when a bound is reached or no host is attached."""

    @property
    def unanswered(self) -> int:
        """Calls submitted here and not answered yet."""

    async def close(self) -> None:
        """Refuses further calls and answers what is unanswered."""


def ask(broker: Broker, call: Call) -> asyncio.Future[Reply]:
    """Submits a call and gives its reply as a future, which may be cancelled. Raises Refused."""
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def deliver(reply: Reply) -> None:
        if not answer.done():
            answer.set_result(reply)

    broker.submit(call, deliver)
    return answer
