"""The functions that are measured: Plugbay serves this file, and the references serve the same functions."""

from __future__ import annotations

import threading
from typing import Any

from vyperlogix.decorators import expose


@expose.endpoint(method="GET", API="echo")
def echo(a: str, b: str, c: int, d: int) -> dict[str, Any]:
    """Four declared query parameters."""
    return {"a": a, "b": b, "c": c, "d": d}


@expose.endpoint(method="POST", API="large")
def large(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A large JSON body, there and back."""
    return {"items": items}


@expose.endpoint(method="GET", API="hang", timeout=2)
def hang() -> None:
    """Never returns; it is killed at its time limit."""
    threading.Event().wait()
