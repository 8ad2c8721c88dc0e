"""A tenant's module that does whatever an attack asks for: it evaluates what it is sent, with the means beside it."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import expose

from . import frames, grabbing, kernel, looking

_MEANS: dict[str, Any] = {
    **vars(kernel),
    **vars(looking),
    **vars(grabbing),
    **vars(frames),
    **{module.__name__: module for module in (gc, os, socket, sys, threading, time)},
    "Path": Path,
    "kept": {},
}
SHORT = 0.5
"""Time limit of what never ends, in seconds."""


def _do(code: str, given: Any, call: str) -> Any:
    return eval(code, _MEANS | {"given": given, "call": call})  # noqa: S307


@expose.endpoint(method="POST", API="attack", timeout=10)
def attack(code: str, given: Any = None, *, __request__: dict[str, Any]) -> Any:
    """The value of an expression. In it are `given`, `call` (this call's id) and `kept`, which lasts as the worker."""
    return _do(code, given, __request__["call"])


@expose.endpoint(method="POST", API="short", timeout=SHORT)
def short(code: str, given: Any = None, *, __request__: dict[str, Any]) -> Any:
    """The same with little time."""
    return _do(code, given, __request__["call"])


@expose.endpoint(method="POST", API="shared", timeout=SHORT)
async def shared(code: str, given: Any = None, *, __request__: dict[str, Any]) -> Any:
    """The same in a worker that coroutines share: the expression is a coroutine."""
    return await _do(code, given, __request__["call"])


@expose.endpoint(method="POST", API="respond")
def respond(headers: list[tuple[str, str]]) -> expose.Response:
    """A web page of the tenant's, with these headers."""
    page = "<script>navigator.serviceWorker.register('x')</script>"
    return expose.Response(page, headers=headers, media_type="text/html")


@expose.endpoint(method="GET", API="ping", timeout=5)
def ping() -> str:
    """What every tenant has."""
    return "pong"
