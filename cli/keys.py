"""`plugbay keys`: the keys that a tenant's uploads are signed with."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from cli import installation, of_tenant, options, signing
from cli.output import output
from cli.problem import Problem

app = typer.Typer(help="Make and register the keys that a tenant's uploads are signed with.", no_args_is_help=True)

_KEYS: Final = "signing-keys"

Tenant = Annotated[str, typer.Option("--tenant", help="UUID of the tenant.")]


@app.command()
def new(tenant: Tenant, as_json: options.Json = False) -> None:
    """Make a key pair on this machine. plugbay deploy signs with it once it is registered."""
    with output(as_json) as out:
        path = signing.make(tenant)
        public = signing.public(signing.seed(tenant) or b"")
        if out.as_json:
            out.document({"file": str(path), "public_key": public})
        else:
            out.line(f"private key  {path}")
            out.line(f"public key   {public}")
            out.note("Keep the file secret. Next: plugbay keys register")


@app.command()
def register(
    tenant: Tenant,
    name: Annotated[str | None, typer.Option(help="What to call it.", show_default="this machine's name")] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Have Plugbay take what this machine's key signs. A tenant's own key can register the first one alone."""
    from cli.server import Server

    with output(as_json) as out:
        private = signing.seed(tenant)
        if private is None:
            raise Problem(f"There is no key in {signing.place(tenant)}: plugbay keys new makes one")
        body = {"name": name or socket.gethostname() or "key", "public_key": signing.public(private)}
        answer = Server(installation.load(), url).control("POST", of_tenant.path(tenant, _KEYS), body=body)
        if out.as_json:
            out.document(answer)
        else:
            out.line(f"Registered {answer['id']} ({answer['name']}).")


@app.command("list")
def list_(tenant: Tenant, url: options.Url = None, as_json: options.Json = False) -> None:
    """List the keys that are registered."""
    from cli.answers import SigningKeys, read

    def rows(answer: Any) -> list[tuple[str, ...]]:
        return [
            (key.id, key.name, datetime.fromtimestamp(key.created).astimezone().strftime("%Y-%m-%d %H:%M"))
            for key in read(answer, SigningKeys).keys
        ]

    of_tenant.show(of_tenant.path(tenant, _KEYS), url, as_json, ("KEY", "NAME", "REGISTERED"), rows)


@app.command()
def rm(
    id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    tenant: Tenant,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Have Plugbay refuse what a key signs, from now on. It takes the admin's key."""
    of_tenant.remove(of_tenant.path(tenant, _KEYS, id), url, as_json, "removed", id)
