"""`plugbay usage`: what a tenant used, by day."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import output


def usage(
    tenant: Annotated[str, typer.Argument(metavar="UUID", help="The tenant's UUID.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days, today included.")] = 30,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show what a tenant used on each of the last days (UTC)."""
    from cli.answers import Usage, read
    from cli.server import Server

    with output(as_json) as out:
        path = f"/api/tenants/{quote(tenant, safe='')}/usage"
        answer = Server(installation.load(), url).control("GET", path, params={"days": days})
        if out.as_json:
            out.document(answer)
            return
        rows = [
            (
                one.day,
                *map(str, (one.calls, one.errors, one.refused, one.cold_starts)),
                f"{one.run_seconds:.1f} s",
                f"{one.cpu_seconds:.1f} s",
                *map(str, (one.bytes_in, one.bytes_out)),
            )
            for one in read(answer, Usage).days
        ]
        out.table(("DAY", "CALLS", "ERRORS", "REFUSED", "COLD", "RAN", "CPU", "BYTES IN", "BYTES OUT"), rows)
