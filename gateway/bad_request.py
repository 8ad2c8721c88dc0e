"""What a client is told when its request cannot be served as it stands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]


class BadRequest(Exception):
    """The request is refused: `status` is the HTTP status, `problem` says what is wrong and what to do.

    `errors` name the fields that are to blame, as `{"field": …, "problem": …}`; `headers` are those
    that the status calls for (`Allow`, `Retry-After`).
    """

    def __init__(
        self, status: int, problem: str, errors: Sequence[dict[str, str]] = (), *, headers: Headers = ()
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.errors = list(errors)
        self.headers = headers

    def body(self) -> bytes:
        """The JSON that answers it."""
        return msgspec.json.encode(
            {"status": self.problem, "errors": self.errors} if self.errors else {"status": self.problem}
        )


def field_problem(status: int, field: str, problem: str) -> BadRequest:
    """A refusal that one field is to blame for."""
    shown = field if len(field) <= 64 else field[:64] + "…"
    return BadRequest(status, f"{shown!r}: {problem}", [{"field": shown, "problem": problem}])
