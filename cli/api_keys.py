"""`plugbay api-keys`: further keys of a tenant, with scopes and an end."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import output

app = typer.Typer(help="Make and revoke API keys of a tenant, with scopes and an end.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="UUID of the tenant.")]


class Scope(enum.StrEnum):
    """What a key opens."""

    CALL = "call"
    DEPLOY = "deploy"
    MANAGE = "manage"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What people call the key.")],
    tenant: Tenant,
    scope: Annotated[
        list[Scope], typer.Option(help="What it opens: calls, modules, or all that is the tenant's; may be repeated.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(help="Seconds from now, or a date (2027-01-31, in UTC).", show_default="it has no end"),
    ] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Make a key. It is shown this once."""
    from cli.server import Server

    with output(as_json) as out:
        body: dict[str, object] = {"name": name, "scopes": [one.value for one in scope]}
        if expires is not None:
            seconds = expires.isascii() and expires.isdigit()
            body |= {"expires_in": int(expires)} if seconds else {"expires": expires}
        answer = Server(installation.load(), url).control("POST", _path(tenant), body=body)
        if out.as_json:
            out.document(answer)
        else:
            out.line(answer["key"])
            out.note("It is kept nowhere: write it down now. It goes as Authorization: Bearer, or as PLUGBAY_KEY")


@app.command("list")
def list_(tenant: Tenant, url: options.Url = None, as_json: options.Json = False) -> None:
    """List the keys, also those that have ended, without their texts."""
    from cli.answers import ApiKeys, read
    from cli.server import Server

    with output(as_json) as out:
        answer = Server(installation.load(), url).control("GET", _path(tenant))
        if out.as_json:
            out.document(answer)
            return
        rows = [
            (key.id, key.name, ", ".join(key.scopes), _minute(key.created), _minute(key.expires) or "never")
            for key in read(answer, ApiKeys).keys
        ]
        out.table(("KEY", "NAME", "SCOPES", "MADE", "ENDS"), rows)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    tenant: Tenant,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Have a key be good no more, within a second."""
    from cli.server import Server

    with output(as_json) as out:
        Server(installation.load(), url).control("DELETE", f"{_path(tenant)}/{quote(id, safe='')}")
        if out.as_json:
            out.document({"revoked": id})
        else:
            out.line(f"Revoked {id}.")


def _path(tenant: str) -> str:
    return f"/api/tenants/{quote(tenant, safe='')}/api-keys"


def _minute(time: float | None) -> str:
    return "" if time is None else datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M")
