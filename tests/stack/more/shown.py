"""What the tests of a stack with settings of its own call; served from a second plugin folder."""

from __future__ import annotations

import os
import time
from typing import Any

import expose


@expose.endpoint()
def variable(name: str) -> str | None:
    """An environment variable as functions find it."""
    return os.environ.get(name)


@expose.endpoint()
def names() -> list[str]:
    """All environment variables that functions find."""
    return sorted(os.environ)


@expose.endpoint()
def rest(seconds: float) -> str:
    """Answers late."""
    print("resting", flush=True)
    time.sleep(seconds)
    return "rested"


@expose.endpoint()
def who(__request__: dict[str, Any]) -> Any:
    """Who is signed in."""
    return __request__["identity"]


@expose.endpoint(API="given")
def given(**kwargs: Any) -> dict[str, Any]:
    """The arguments."""
    return {name: value for name, value in kwargs.items() if name != "__request__"}
