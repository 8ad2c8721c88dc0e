"""What inspecting a module in a runner reports: the endpoints it exposes, as plain data.

There may be tens of thousands of these objects. They hold no cycles, and the garbage collector, which
would stop every call while it looks at them, is spared them (`gc=False`).
"""

from __future__ import annotations

import msgspec


class Parameter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One declared parameter of an endpoint's function."""

    name: str
    type: str = ""
    """Its annotation as written; empty when none."""
    required: bool = True
    default: str = ""
    """`repr` of the default, shortened; empty when required."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One function exposed under one API name."""

    api: str
    methods: tuple[str, ...]
    function: str
    doc: str = ""
    concurrent: bool = False
    """A coroutine function."""
    timeout: float | None = None
    """Seconds, when the endpoint sets its own limit."""
    concurrency: int | None = None
    """Calls at once, when the endpoint sets its own limit."""
    wants_request: bool = True
    """Declares `__request__` or `**kwargs`, so `__request__` must be sent along."""
    parameters: tuple[Parameter, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One module, as seen by importing it."""

    doc: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    functions: tuple[str, ...] = ()
    """Undecorated public functions: listed, never callable over REST."""
    imports: tuple[str, ...] = ()
    """Top-level names of what the module imports."""


decode = msgspec.json.Decoder(Report).decode
"""Raises msgspec.ValidationError or DecodeError: a runner's report is untrusted."""
