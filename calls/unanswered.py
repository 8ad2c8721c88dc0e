"""The calls that a broker took and has not answered yet."""

from __future__ import annotations

from collections import Counter

from calls.broker import Answer, Refused
from calls.call import Call, Kind, Outcome, Reply


class Unanswered:
    """Bounded per owner and in all; each call leaves it once, with its answer.

    `max_owner`, `max_total` and `max_bytes` are the settings MAX_QUEUE, MAX_QUEUE_TOTAL and MAX_HELD_BYTES.
    """

    def __init__(self, max_owner: int, max_total: int, max_bytes: int) -> None:
        self._max_owner = max_owner
        self._max_total = max_total
        self._max_bytes = max_bytes
        self._calls: dict[str, tuple[Call, Answer, str]] = {}
        self._owners: Counter[str] = Counter()
        self.of_host: Counter[str] = Counter()
        """Calls by the incarnation of the host that has them."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._calls)

    def check(self, call: Call) -> None:
        """Raises Refused when this call is too many, or too much."""
        if len(self._calls) >= self._max_total:
            raise Refused(f"{self._max_total} calls are unanswered (MAX_QUEUE_TOTAL)", limited=False)
        if self._owners[call.owner] >= self._max_owner:
            raise Refused(f"{self._max_owner} calls of this owner are unanswered (MAX_QUEUE)", limited=True)
        if self._bytes + len(call.payload) > self._max_bytes:
            raise Refused(f"{self._max_bytes} bytes of calls are unanswered (MAX_HELD_BYTES)", limited=False)

    def add(self, call: Call, answer: Answer, host: str) -> None:
        """The call is on its way to this incarnation of a host."""
        self._calls[call.id] = (call, answer, host)
        self._owners[call.owner] += 1
        self.of_host[host] += 1
        self._bytes += len(call.payload)

    def answer(self, reply: Reply) -> None:
        """Answers the call this is for; without effect when it was answered before."""
        entry = self._calls.pop(reply.call, None)
        if entry is None:
            return
        call, answer, host = entry
        _decrement(self._owners, call.owner)
        _decrement(self.of_host, host)
        self._bytes -= len(call.payload)
        answer(reply)

    def lose(self, host: str | None, why: str) -> None:
        """Answers the calls that this incarnation has, or every call: what became of them cannot be known.
        An inspection changes nothing and may be asked for again, so it counts as not run."""
        for call, _, holder in list(self._calls.values()):
            if host is None or holder == host:
                outcome = Outcome.DIED if call.kind is Kind.INVOKE else Outcome.UNAVAILABLE
                self.answer(Reply(call=call.id, outcome=outcome, payload=why.encode()))

    def expire(self, before: float) -> None:
        """Answers the calls whose deadline was before this Unix time: nobody ran them."""
        for call, _, _ in list(self._calls.values()):
            if call.deadline < before:
                late = b"no runner host took the call in time"
                self.answer(Reply(call=call.id, outcome=Outcome.UNAVAILABLE, payload=late))


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
