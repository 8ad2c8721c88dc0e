"""What the fuzzing tests share: one connection on which no answer is ever another request's."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from tests.attacks.wire import Wire, request
from tests.gateway.strict_server import Answer

EXAMPLES = 700
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class Line:
    """One connection, opened again when the platform has closed it; every answer is that of its request."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._wire = Wire(url)
        self.opened = 1
        self._count = 0

    def ask(self, data: bytes, *, head: bool = False) -> Answer:
        """The answer to one request, followed by one that is known: none is taken for another's."""
        self._count += 1
        token = b"%d" % self._count
        self._wire.send(data + request(b"/rest/services/given/name/?name=" + token))
        answer = self._wire.answer(head=head)
        assert answer is not None, f"no answer to {data!r}"
        if answer.headers.get("connection") == "close":
            assert self._wire.answer() is None
            self._wire.socket.close()
            self._wire = Wire(self._url)
            self.opened += 1
        else:
            known = self._wire.answer()
            assert known is not None
            assert known.json["response"] == {"name": token.decode()}, f"after {data!r}"
        return answer

    def close(self) -> None:
        """The client leaves."""
        self._wire.socket.close()


def arguments(answer: Answer) -> dict[str, Any]:
    """What the function was given, without what the platform adds."""
    given: dict[str, Any] = answer.json["response"]["all"]["kwargs"]
    return {name: value for name, value in given.items() if name not in ("func", "module")}
