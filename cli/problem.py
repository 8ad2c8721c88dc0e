"""Why a command ends without having done its work: what the person reads, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NO: Final = 1
"""The server, or this machine, said no."""
USAGE: Final = 2
"""The command was not understood."""
NOT_REACHABLE: Final = 3
"""Nothing answers, or what answers is not Plugbay."""


class Problem(Exception):
    """Ends a command. `errors` are the `{field, problem}` pairs of the server's answer."""

    def __init__(self, message: str, exit_code: int = NO, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.errors = tuple(errors)


class NotAnswering(Problem):
    """Nothing listens at the address, or it is too slow to answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, NOT_REACHABLE)
