"""A line for a shell that calls an endpoint, with a sample for everything it requires."""

from __future__ import annotations

import shlex
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from catalogue.report import Endpoint, Parameter

_SAMPLES: Final[dict[str, Any]] = {"int": 1, "float": 0.5, "bool": True, "list": [], "dict": {}, "tuple": [], "set": []}
"""By annotation as written; anything else gets a text."""


def example_call(endpoint: Endpoint, url: str) -> str:
    """A `curl` command that calls the endpoint at `url`."""
    required = [parameter for parameter in endpoint.parameters if parameter.required]
    samples = {parameter.name: _sample(parameter) for parameter in required}
    writing = [method for method in endpoint.methods if method != "GET"]
    if any(_is_file(parameter) for parameter in required) and writing:
        parts = [f"-F {name}=@file" if sample is None else f"-F {name}={sample}" for name, sample in samples.items()]
        return " ".join(("curl", *_method(writing[0]), *parts, url))
    nested = any(isinstance(sample, list | dict) for sample in samples.values())
    if "GET" in endpoint.methods and not (nested and writing):
        query = urlencode({name: msgspec.to_builtins(sample) for name, sample in samples.items()})
        return f"curl {shlex.quote(f'{url}?{query}')}" if query else f"curl {url}"
    body = shlex.quote(msgspec.json.encode(samples).decode())
    return " ".join(("curl", *_method(writing[0]), "-H 'Content-Type: application/json' -d", body, url))


def _sample(parameter: Parameter) -> Any:
    """A value of the parameter's type; None for a file."""
    return None if _is_file(parameter) else _SAMPLES.get(parameter.type.partition("[")[0].lower(), "text")


def _is_file(parameter: Parameter) -> bool:
    return parameter.type in ("bytes", "File", "expose.File", "list[File]", "list[expose.File]")


def _method(method: str) -> list[str]:
    """POST is what curl does with a body."""
    return [] if method == "POST" else ["-X", method]
