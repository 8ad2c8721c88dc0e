"""One HTTP connection that asks, and compares what comes with what must come."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from benchmarks.load import Invalid


@dataclass(frozen=True)
class Question:
    """One request, and the only right answer to it."""

    path: str
    answer: Any
    """As decoded from JSON."""
    body: bytes | None = None
    """JSON to POST; None: GET."""


class Client:
    """A connection kept alive, to one port of this machine."""

    def __init__(self, port: int, timeout_secs: float = 10) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_secs)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body. Raises OSError or HTTPException when nobody answers."""
        return self._ask("GET", path, None)

    def check(self, question: Question) -> None:
        """Asks. Raises Invalid unless the answer is the right one."""
        method = "GET" if question.body is None else "POST"
        try:
            status, body = self._ask(method, question.path, question.body)
        except (OSError, http.client.HTTPException) as error:
            raise Invalid(f"{question.path}: no answer: {type(error).__name__}: {error}") from error
        try:
            answer = json.loads(body)
        except ValueError:
            answer = body
        if status != 200 or answer != question.answer:
            raise Invalid(f"{question.path}: wrong answer: {status} {body[:200]!r}")

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = self._connection.getresponse()
        return response.status, response.read()
