"""`plugbay pools`, `plugbay scale` and `plugbay drain`: seeing, sizing and emptying what runs calls."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import Output, output

if TYPE_CHECKING:
    from cli.answers import Host, Pool


class Drained(StrEnum):
    """What can be drained."""

    RUNNER = "runner"
    TENANT = "tenant"
    HOST = "host"


def pools(url: options.Url = None, as_json: options.Json = False) -> None:
    """Show the pools, their runners and the hosts they are on."""
    from cli.answers import Pools, read
    from cli.server import Server

    with output(as_json) as out:
        answer = Server(installation.load(), url).control("GET", "/api/pools")
        if out.as_json:
            out.document(answer)
            return
        shown = read(answer, Pools)
        found = shown.pools
        _show_hosts(shown.hosts, out)
        out.line()
        _show(found, out)
        out.line()
        columns = ("POOL", "RUNNER", "HOST", "STATE", "BUSY", "WORKERS", "CALLS", "AGE")
        rows = [
            (
                pool.name,
                runner.id,
                runner.host,
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
    pool: Annotated[str, typer.Argument(help="Name of the pool: admin, prewarmed, or the UUID of a further admin.")],
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


def drain(
    what: Annotated[Drained, typer.Argument(help="What finishes its calls.")],
    name: Annotated[
        str, typer.Argument(help="Id of the runner, UUID of the tenant or further admin, or name of the host.")
    ],
    undo: Annotated[bool, typer.Option("--undo", help="Have a host take calls again.")] = False,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Let a runner, a tenant's runners or a host finish their calls and take no more. No call is lost.

    A runner is replaced where its pool wants one; a tenant's next call gets another; calls for a host go to
    the other hosts, until --undo or until it is restarted. `plugbay pools` shows the names.
    """
    from cli.answers import Host, Pool, read
    from cli.server import Server

    if undo and what is not Drained.HOST:
        raise typer.BadParameter("only a host takes calls again", param_hint="--undo")
    kinds = {Drained.RUNNER: "runners", Drained.TENANT: "pools", Drained.HOST: "hosts"}
    with output(as_json) as out:
        path = f"/api/{kinds[what]}/{quote(name, safe='')}/drain"
        answer = Server(installation.load(), url).control("DELETE" if undo else "POST", path)
        if out.as_json:
            out.document(answer)
        elif what is Drained.HOST:
            _show_hosts([read(answer, Host)], out)
        else:
            _show([read(answer, Pool)], out)


def _show_hosts(found: list[Host], out: Output) -> None:
    rows = [
        (host.name, "draining" if host.draining else "serving", f"{host.load} of {host.capacity}") for host in found
    ]
    out.table(("HOST", "STATE", "CALLS"), rows)


def _show(found: list[Pool], out: Output) -> None:
    columns = ("POOL", "KIND", "SIZE", "RUNNERS", "BUSY", "QUEUE", "COLD STARTS", "KILLED")
    rows = []
    for pool in found:
        states = Counter(runner.state for runner in pool.runners)
        busy = sum(runner.busy for runner in pool.runners)
        workers = sum(runner.workers for runner in pool.runners)
        rows.append(
            (
                pool.name,
                pool.kind,
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
