"""What it costs that each call takes a single-use token."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx

from benchmarks import load
from benchmarks.load import Invalid, Sample
from benchmarks.plan import Plan
from benchmarks.report import Table, decimal
from benchmarks.rows.calls import measured_product
from benchmarks.systems import ADMIN_KEY, ADMIN_UUID, Running
from benchmarks.turns import start_all, take_turns, valid
from plugbay_client.token import TokenKey, mint

CONNECTIONS: Final = (1, 64)
_TOKENS_PER_SEC: Final = 15_000
"""Tokens made for a second of load: more than are used in it, as none counts twice."""
_FIRST_SECS: Final = 10
"""A process takes no token in its first 5 seconds."""


def tokens(plan: Plan) -> Table:
    """The row `tokens`."""
    lines: list[list[str]] = []
    with ExitStack() as stack:
        (plugbay,) = start_all(stack, [measured_product(plan)], plan)
        control = stack.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{plugbay.port}",
                headers={"Authorization": f"Bearer {ADMIN_KEY}"},
                trust_env=False,
            )
        )
        made = control.post(f"/api/tenants/{ADMIN_UUID}/token-keys").raise_for_status().json()
        key = TokenKey.parse(made["key"])
        _require(control, "all")
        _await_first(control, plugbay, key)
        for connections in CONNECTIONS:
            measures = {
                "none": partial(_without, control, plugbay, connections, plan),
                "a token each": partial(_with, control, plugbay, connections, plan, key),
            }
            results = valid(take_turns(measures, plan.rounds))
            for name, result in results.items():
                ratio = result.rps / results["none"].rps
                cells = [decimal(result.p50_ms), decimal(result.p99_ms), f"{result.rps:,.0f}", f"{ratio:.2f}"]
                lines.append([name, str(connections), *cells])
    return Table(
        title="Tokens",
        note="The embedded kind with `REQUIRE_TOKENS` none and all: the same echo without a token, and with a "
        "single-use one in each call, made before.",
        header=["tokens", "c", "p50 ms", "p99 ms", "calls/s", "÷ none"],
        lines=lines,
    )


def _without(control: httpx.Client, plugbay: Running, connections: int, plan: Plan) -> Sample:
    _require(control, "none")
    return load.run(plugbay.url(plugbay.echo), connections, plan.secs)


def _with(control: httpx.Client, plugbay: Running, connections: int, plan: Plan, key: TokenKey) -> Sample:
    _require(control, "all")
    file = plan.folder / "tokens.txt"
    _write(file, plugbay, key, _TOKENS_PER_SEC * plan.secs)
    return load.run(plugbay.url(plugbay.echo), connections, plan.secs, authorizations=file)


def _write(file: Path, plugbay: Running, key: TokenKey, count: int) -> None:
    with file.open("w") as out:
        out.writelines(f"{_authorization(plugbay, key)}\n" for _ in range(count))


def _authorization(plugbay: Running, key: TokenKey) -> str:
    return f"Token {mint(key, UUID(ADMIN_UUID), 'GET', plugbay.echo.path)}"


def _require(control: httpx.Client, whose: str) -> None:
    control.patch("/api/settings", json={"REQUIRE_TOKENS": whose}).raise_for_status()


def _await_first(control: httpx.Client, plugbay: Running, key: TokenKey) -> None:
    until = time.monotonic() + _FIRST_SECS
    while control.get(plugbay.echo.path, headers={"Authorization": _authorization(plugbay, key)}).status_code != 200:
        if time.monotonic() > until:
            raise Invalid(f"no token is taken within {_FIRST_SECS} s")
