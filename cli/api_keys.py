"""`plugbay api-keys`: further keys of a tenant, with scopes and an end."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from cli import installation, of_tenant, options
from cli.output import output

app = typer.Typer(help="Make and revoke API keys of a tenant, with scopes and an end.", no_args_is_help=True)

_KEYS: Final = "api-keys"

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
        answer = Server(installation.load(), url).control("POST", of_tenant.path(tenant, _KEYS), body=body)
        if out.as_json:
            out.document(answer)
        else:
            out.line(answer["key"])
            out.note("It is kept nowhere: write it down now. It goes as Authorization: Bearer, or as PLUGBAY_KEY")


@app.command("list")
def list_(tenant: Tenant, url: options.Url = None, as_json: options.Json = False) -> None:
    """List the keys, also those that have ended, without their texts."""
    from cli.answers import ApiKeys, read

    def rows(answer: Any) -> list[tuple[str, ...]]:
        return [
            (key.id, key.name, ", ".join(key.scopes), _minute(key.created), _minute(key.expires) or "never")
            for key in read(answer, ApiKeys).keys
        ]

    of_tenant.show(of_tenant.path(tenant, _KEYS), url, as_json, ("KEY", "NAME", "SCOPES", "MADE", "ENDS"), rows)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    tenant: Tenant,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Have a key be good no more, within a second."""
    of_tenant.remove(of_tenant.path(tenant, _KEYS, id), url, as_json, "revoked", id)


def _minute(time: float | None) -> str:
    return "" if time is None else datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M")
