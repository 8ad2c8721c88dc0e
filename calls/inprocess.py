"""Broker kind `inprocess`: gateway and runner host share one event loop, so a call is a function call."""

from __future__ import annotations

from calls.broker import Answer, CallHandler, Refused
from calls.call import Call
from calls.unanswered import Unanswered


class InProcessBroker:
    """See calls.broker.Broker. See `Unanswered` for its bounds."""

    def __init__(self, max_owner: int, max_total: int, max_bytes: int) -> None:
        self._unanswered = Unanswered(max_owner, max_total, max_bytes)
        self._hosts: dict[str, CallHandler] = {}
        self._closed = False

    def submit(self, call: Call, answer: Answer) -> None:
        """See Broker."""
        if self._closed:
            raise Refused("the platform is shutting down", limited=False)
        self._unanswered.check(call)
        if not self._hosts:
            raise Refused("no runner host is there", limited=False)
        host, handler = next(iter(self._hosts.items()))
        self._unanswered.add(call, answer, host)
        handler.accept(call, self._unanswered.answer)

    def attach(self, host: str, handler: CallHandler) -> None:
        """Registers a runner host."""
        self._hosts[host] = handler

    def detach(self, host: str) -> None:
        """Takes a host away; its unanswered calls are answered DIED."""
        del self._hosts[host]
        self._unanswered.lose(host, "the runner host went away")

    @property
    def unanswered(self) -> int:
        """See Broker."""
        return len(self._unanswered)

    async def close(self) -> None:
        """See Broker."""
        self._closed = True
        for host in list(self._hosts):
            self.detach(host)
