"""Broker kind `inprocess`: gateway and runner host share one event loop, so a call is a function call."""

from __future__ import annotations

from collections import Counter

from calls.broker import Answer, CallHandler, Refused
from calls.call import Call, Outcome, Reply


class InProcessBroker:
    """See calls.broker.Broker. `max_owner` and `max_total` bound the unanswered calls."""

    def __init__(self, max_owner: int, max_total: int) -> None:
        self._max_owner = max_owner
        self._max_total = max_total
        self._hosts: dict[str, CallHandler] = {}
        self._calls: dict[str, tuple[Call, Answer, str]] = {}
        self._owners: Counter[str] = Counter()
        self._closed = False

    def submit(self, call: Call, answer: Answer) -> None:
        """See Broker."""
        if self._closed:
            raise Refused("the platform is shutting down", limited=False)
        if len(self._calls) >= self._max_total:
            raise Refused(f"{self._max_total} calls are unanswered (MAX_QUEUE_TOTAL)", limited=False)
        if self._owners[call.owner] >= self._max_owner:
            raise Refused(f"{self._max_owner} calls of this owner are unanswered (MAX_QUEUE)", limited=True)
        if not self._hosts:
            raise Refused("no runner host is there", limited=False)
        host, handler = next(iter(self._hosts.items()))
        self._calls[call.id] = (call, answer, host)
        self._owners[call.owner] += 1
        handler.accept(call, self._answered)

    def _answered(self, reply: Reply) -> None:
        entry = self._calls.pop(reply.call, None)
        if entry is None:  # its host was detached before, or answers twice
            return
        call, answer, _ = entry
        self._owners[call.owner] -= 1
        if not self._owners[call.owner]:
            del self._owners[call.owner]
        answer(reply)

    def attach(self, host: str, handler: CallHandler) -> None:
        """See Broker."""
        self._hosts[host] = handler

    def detach(self, host: str) -> None:
        """See Broker."""
        del self._hosts[host]
        for identity in [identity for identity, (_, _, holder) in self._calls.items() if holder == host]:
            self._answered(Reply(call=identity, outcome=Outcome.DIED, payload=b"the runner host went away"))

    @property
    def unanswered(self) -> int:
        """See Broker."""
        return len(self._calls)

    async def close(self) -> None:
        """See Broker."""
        self._closed = True
        for host in list(self._hosts):
            self.detach(host)
