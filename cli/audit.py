"""`plugbay audit`: who changed what, when and from where."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import installation, options
from cli.output import Output, output

if TYPE_CHECKING:
    from cli.answers import AuditEntry

_PAGE: Final = 500
"""Entries that are asked for at once; the control plane gives no more."""


def audit(
    tenant: Annotated[str | None, typer.Option(help="Only changes of this tenant (its UUID).")] = None,
    what: Annotated[str | None, typer.Option(help="Only changes that begin so: tenant, module, token key …")] = None,
    count: Annotated[int, typer.Option("-n", "--number", min=1, help="Changes at most, the newest.")] = 20,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show who changed what through the control plane, the newest first; with a tenant's key what is about it."""
    from cli.answers import AuditEntries, read
    from cli.server import Server

    with output(as_json) as out:
        server = Server(installation.load(), url)
        asked: dict[str, str | int] = {name: value for name, value in (("tenant", tenant), ("what", what)) if value}
        found: list[Any] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < count:
            asked |= {"limit": min(count - len(found), _PAGE)} | ({"cursor": cursor} if cursor else {})
            answer = server.control("GET", "/api/audit", params=asked)
            page = read(answer, AuditEntries)
            found += answer["entries"] if out.as_json else page.entries
            cursor = page.next
        if out.as_json:
            out.document({"entries": found})
        else:
            _show(found, out)


def _show(found: Iterable[AuditEntry], out: Output) -> None:
    rows = [
        (
            datetime.fromtimestamp(one.time).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            one.who,
            one.what,
            one.tenant or "",
            one.address or "",
            " ".join(f"{name}={value}" for name, value in one.about.items()),
        )
        for one in found
    ]
    out.table(("TIME", "WHO", "WHAT", "TENANT", "FROM", "ABOUT"), rows)
