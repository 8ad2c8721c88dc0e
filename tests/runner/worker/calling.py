"""Calls as they reach a worker, for the tests of what functions make of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from calls.payload import Arguments, UploadedFile
from runner.worker.binding import InvalidArguments, Plan


def arguments(
    fields: dict[str, Any] | bytes | None = None,
    url: Sequence[str | tuple[str, str]] = (),
    files: Sequence[UploadedFile] = (),
    module: str | None = None,
    owner: str | None = None,
    body: bytes | None = None,
    request: dict[str, Any] | None = None,
) -> Arguments:
    """Arguments of a call to the API `x`; URL parameters without a name are parm_1, parm_2, …"""
    return Arguments(
        api="x",
        module=module,
        uuid=owner,
        fields=fields if isinstance(fields, bytes) else json.dumps(fields or {}).encode(),
        parameters=[(f"parm_{n}", p) if isinstance(p, str) else p for n, p in enumerate(url, 1)],
        files=list(files),
        body=body,
        request=None if request is None else json.dumps(request).encode(),
    )


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` returns when called with `arguments(…)`."""
    positional, keywords = Plan(function).bind(arguments(*args, **kwargs))
    return function(*positional, **keywords)


def problems(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
    """The (field, problem) pairs that keep `function` from being called."""
    with pytest.raises(InvalidArguments) as raised:
        call(function, *args, **kwargs)
    return [(problem.field, problem.problem) for problem in raised.value.problems]


def everything(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A function that shows all it received."""
    return args, kwargs
