"""Asynchronous calls as their clients see them."""

from __future__ import annotations

import time
from typing import Any

import httpx

ASYNC = {"Prefer": "respond-async"}
SECS = 60
"""A test that takes longer has failed."""


def accepted(answer: httpx.Response) -> str:
    """Where the result will be, after checking that the call was accepted."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["cache-control"] == "no-store"
    where = answer.headers["location"]
    assert where.startswith("/rest/calls/")
    assert answer.json() == {"status": "ACCEPTED", "call": answer.headers["x-call-id"], "result": where}
    return str(where)


def result(url: str, where: str, **how: Any) -> httpx.Response:
    """The answer that is no 202 any more."""
    until = time.monotonic() + SECS
    with httpx.Client(base_url=url, timeout=SECS) as client:
        while (answer := client.get(where, **how)).status_code == 202:
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["cache-control"] == "no-store"
            assert time.monotonic() < until, answer.text
            time.sleep(0.02)
    return answer
