"""`plugbay token`: tokens for calls, and the keys that they are made with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.call import target
from cli.output import output
from cli.problem import USAGE, Problem
from cli.server import Server

app = typer.Typer(help="Make tokens for calls, and the keys they are made with.", no_args_is_help=True)


@app.command()
def mint(
    path: Annotated[str, typer.Argument(help="API with its URL parameters (hello-world/1/2), or a path under /rest/.")],
    method: Annotated[str, typer.Option("-X", "--method", help="HTTP method.")] = "GET",
    query: Annotated[
        list[str] | None, typer.Option("-q", "--query", metavar="NAME=VALUE", help="Query parameter; may be repeated.")
    ] = None,
    tenant: options.Tenant = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Make a token for one call and print it, for `Authorization: Token`.

    It is made with PLUGBAY_TOKEN_KEY where that is set, else by Plugbay.
    """
    with output(as_json) as out:
        made = Server(installation.load(), url).token(method.upper(), target(path, tenant, query or []))
        if out.as_json:
            out.document({"token": made})
        else:
            out.line(made)


@app.command()
def keys(tenant: options.Tenant = None, url: options.Url = None, as_json: options.Json = False) -> None:
    """List the keys that tokens may be made with, by their ids."""
    from cli.answers import TokenKeys, read

    with output(as_json) as out:
        server = Server(installation.load(), url)
        answer = server.control("GET", f"/api/tenants/{server.owner(tenant)}/token-keys")
        if out.as_json:
            out.document(answer)
            return
        rows = [
            (key.id, datetime.fromtimestamp(key.created).astimezone().strftime("%Y-%m-%d %H:%M"))
            for key in read(answer, TokenKeys).keys
        ]
        out.table(("KEY", "MADE"), rows)
        if not rows:
            out.note("There is none yet: plugbay token new-key")


@app.command("new-key")
def new_key(tenant: options.Tenant = None, url: options.Url = None, as_json: options.Json = False) -> None:
    """Make another key. It is shown this once; the one before it stays good, those before that do not."""
    with output(as_json) as out:
        server = Server(installation.load(), url)
        answer = server.control("POST", f"/api/tenants/{server.owner(tenant)}/token-keys")
        if out.as_json:
            out.document(answer)
        else:
            out.line(answer["key"])
            out.note("It is not shown again: write it down now. plugbay call takes it as PLUGBAY_TOKEN_KEY")


@app.command()
def retire(
    id: Annotated[str | None, typer.Argument(metavar="[KEY]", help="The key's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, also those that cannot be read.")] = False,
    tenant: options.Tenant = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Have tokens that were made with a key, or with any, be good no more, within a second."""
    with output(as_json) as out:
        if every is (id is not None):
            raise Problem("Name one key, or say --all", USAGE)
        server = Server(installation.load(), url)
        path = f"/api/tenants/{server.owner(tenant)}/token-keys"
        server.control("DELETE", path if id is None else f"{path}/{quote(id, safe='')}")
        if out.as_json:
            out.document({"retired": "all" if id is None else id})
        else:
            out.line("Retired all." if id is None else f"Retired {id}.")
