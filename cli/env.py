"""`plugbay env`: environment variables of a tenant's functions."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from cli import installation, of_tenant, options
from cli.output import output
from cli.problem import USAGE, Problem
from cli.server import Server

app = typer.Typer(help="Set, see and unset variables that a tenant's functions find.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="UUID of the tenant whose variable this is.")]
Module = Annotated[str, typer.Option("--module", help="Only this module finds it.", show_default="all of the tenant's")]
Name = Annotated[str, typer.Argument(help="Name of the variable.")]


@app.command("set")
def set_(
    name: Name,
    tenant: Tenant,
    module: Module = "",
    plain: Annotated[bool, typer.Option("--plain", help="No secret: plugbay env list shows its value.")] = False,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Set a variable to what is asked for, or to what stands on standard input: no history keeps it.

    Workers that run get it within a second. One newline at the end of standard input is dropped.
    """
    with output(as_json) as out:
        body = {"value": _value(name), "secret": not plain}
        answer = Server(installation.load(), url).control(
            "PUT", of_tenant.path(tenant, "environ", name), params=_of(module), body=body
        )
        if out.as_json:
            out.document(answer)
        else:
            out.line(f"Set {name}.")


@app.command("list")
def list_(tenant: Tenant, url: options.Url = None, as_json: options.Json = False) -> None:
    """List a tenant's variables, without the values of secret ones."""
    from cli.answers import Environ, read

    def rows(answer: Any) -> list[tuple[str, ...]]:
        return [
            (one.name, one.module or "all", "(secret)" if one.value is None else one.value)
            for one in read(answer, Environ).variables
        ]

    of_tenant.show(of_tenant.path(tenant, "environ"), url, as_json, ("NAME", "MODULE", "VALUE"), rows)


@app.command()
def unset(
    name: Name, tenant: Tenant, module: Module = "", url: options.Url = None, as_json: options.Json = False
) -> None:
    """Forget a variable of one module, or the one of all."""
    of_tenant.remove(of_tenant.path(tenant, "environ", name), url, as_json, "unset", name, _of(module))


def _value(name: str) -> str:
    """What is typed, unseen, or stands on standard input. Raises Problem."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Value of {name}", hide_input=True, err=True))
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise Problem("What stands on standard input is not UTF-8", USAGE) from error


def _of(module: str) -> dict[str, str | int]:
    return {"module": module} if module else {}
