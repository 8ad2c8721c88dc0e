"""The measured function as Google's functions-framework takes it."""

from __future__ import annotations

from typing import Any

import flask

from benchmarks.plugins import measured


def echo(request: flask.Request) -> dict[str, Any]:
    """Flask makes JSON of the dict."""
    query = request.args
    return measured.echo(query["a"], query["b"], int(query["c"]), int(query["d"]))
