"""`plugbay pools` and `plugbay scale`: seeing and sizing pools of runners."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import Output, output

if TYPE_CHECKING:
    from cli.answers import Pool


def pools(url: options.Url = None, as_json: options.Json = False) -> None:
    """Show the pools and their runners."""
    from cli.answers import Pools, read
    from cli.server import Server

    with output(as_json) as out:
        answer = Server(installation.load(), url).control("GET", "/api/pools")
        if out.as_json:
            out.document(answer)
            return
        found = read(answer, Pools).pools
        _show(found, out)
        out.line()
        columns = ("POOL", "RUNNER", "STATE", "BUSY", "WORKERS", "CALLS", "AGE")
        rows = [
            (
                pool.name,
                runner.id,
                runner.state,
                str(runner.busy),
                str(runner.workers),
                str(runner.calls),
                _age(runner.age_secs),
            )
            for pool in found
            for runner in pool.runners
        ]
        out.table(columns, rows)


def scale(
    pool: Annotated[str, typer.Argument(help="Name of the pool: admin, or the UUID of a tenant.")],
    size: Annotated[int, typer.Argument(help="Runners wanted.")],
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Set how many runners a pool has; returns when they are there. No call is lost."""
    from cli.answers import Pool, read
    from cli.server import Server

    with output(as_json) as out:
        path = f"/api/pools/{quote(pool, safe='')}"
        answer = Server(installation.load(), url).control("PUT", path, body={"size": size})
        if out.as_json:
            out.document(answer)
        else:
            _show([read(answer, Pool)], out)


def _show(found: list[Pool], out: Output) -> None:
    columns = ("POOL", "SIZE", "RUNNERS", "BUSY", "QUEUE", "COLD STARTS", "KILLED")
    rows = []
    for pool in found:
        states = Counter(runner.state for runner in pool.runners)
        busy = sum(runner.busy for runner in pool.runners)
        workers = sum(runner.workers for runner in pool.runners)
        rows.append(
            (
                pool.name,
                str(pool.size),
                ", ".join(f"{count} {state}" for state, count in states.items()) or "none",
                f"{busy} of {workers}",
                str(pool.queue),
                str(pool.cold_starts),
                ", ".join(f"{count} {reason}" for reason, count in pool.kills.items()) or "none",
            )
        )
    out.table(columns, rows)


def _age(secs: float) -> str:
    whole = int(secs)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
