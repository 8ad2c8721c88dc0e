"""`plugbay logs`: what functions printed, call by call."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import installation, options
from cli.output import Output, output
from cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from cli.answers import Record


def logs(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with each new record; Ctrl-C ends.")] = False,
    module: Annotated[str | None, typer.Option(help="Only this module.")] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="UUID", help="Of this tenant or further admin.", show_default="your own")
    ] = None,
    call: Annotated[str | None, typer.Option(help="Only the call of this id (X-Call-Id of its answer).")] = None,
    count: Annotated[int, typer.Option("-n", "--number", min=1, max=500, help="Records at most, the newest.")] = 20,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show what functions printed, the oldest first; with --json a page of /api/logs, with -f too a record a line."""
    from cli.answers import Record, Records, read
    from cli.server import Server

    with output(as_json) as out:
        if follow and call:
            raise Problem("--follow waits for new calls, --call names one that was: give one of them", USAGE)
        server = Server(installation.load(), url)
        params: dict[str, str | int] = {"limit": count}
        filters = {"module": module, "tenant": tenant, "call": call}
        params |= {name: value for name, value in filters.items() if value}
        if follow:
            for line in server.follow("/api/logs", params | {"follow": "true"}):
                if out.as_json:
                    out.document(line)
                else:
                    _show(read(line, Record), out)
            return
        answer = server.control("GET", "/api/logs", params=params)
        if out.as_json:
            out.document(answer)
            return
        records = read(answer, Records).records
        for record in reversed(records):
            _show(record, out)
        if not records:
            out.note("Nothing was printed" + (" by this call, or it is no longer kept" if call else " yet"))


def _show(record: Record, out: Output) -> None:
    if record.missed:
        out.line(f"… {record.missed} records came faster than they were read, and are not shown", style="dim")
    when = datetime.fromtimestamp(record.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    facts = f"{record.status} {record.outcome} · {record.run_ms:.1f} ms · {record.call}"
    out.line(f"{when} {record.module}/{record.api} · {facts}", style="bold red" if record.status >= 500 else "bold")
    for line in record.text.splitlines():
        out.line(f"  {line}")
    if record.truncated:
        out.line("  … it printed more than MAX_LOG_BYTES, the rest was not kept", style="dim")
