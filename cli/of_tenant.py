"""What the commands share that list what a tenant has, and take some of it away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cli import installation
from cli.output import output


def path(tenant: str, *names: str) -> str:
    """Where the control plane has what is this tenant's."""
    return "/".join(("/api/tenants", *(quote(name, safe="") for name in (tenant, *names))))


def show(
    where: str,
    url: str | None,
    as_json: bool,
    header: Sequence[str],
    rows: Callable[[Any], Iterable[Sequence[str]]],
) -> None:
    """Prints what stands at `where`: a table of the `rows` that the answer has."""
    from cli.server import Server

    with output(as_json) as out:
        answer = Server(installation.load(), url).control("GET", where)
        if out.as_json:
            out.document(answer)
        else:
            out.table(header, rows(answer))


def remove(
    where: str, url: str | None, as_json: bool, done: str, name: str, params: Mapping[str, str | int] | None = None
) -> None:
    """Deletes what stands at `where` and says that this was `done` to what is called `name`."""
    from cli.server import Server

    with output(as_json) as out:
        Server(installation.load(), url).control("DELETE", where, params=params)
        if out.as_json:
            out.document({done: name})
        else:
            out.line(f"{done.capitalize()} {name}.")
