"""`plugbay tenants`: who there is besides the installation's admin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import Output, output
from cli.problem import Problem

if TYPE_CHECKING:
    from cli.answers import Tenant

app = typer.Typer(help="Register tenants and further admins, see them, change them.", no_args_is_help=True)

Uuid = Annotated[str, typer.Argument(metavar="UUID", help="UUID of the tenant or further admin.")]


class Role(StrEnum):
    """What one is registered as."""

    TENANT = "tenant"
    ADMIN = "admin"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    plan: Annotated[
        str | None, typer.Option(help="A plan of plans.toml; admins have none.", show_default="free")
    ] = None,
    role: Annotated[
        Role, typer.Option(help="admin: a further one, with modules and tenants of its own.")
    ] = Role.TENANT,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Register a tenant, or a further admin. Its key is shown this once."""
    wanted = {"name": name, "role": role.value} | ({"plan": plan} if plan is not None else {})
    with output(as_json) as out:
        _show_key(_control(url, "POST", "", body=wanted), out)


@app.command("list")
def list_(
    search: Annotated[str, typer.Argument(help="Only those whose name or UUID begins with this.")] = "",
    role: Annotated[Role | None, typer.Option(help="Only tenants, or only admins.", show_default="both")] = None,
    admin: Annotated[str | None, typer.Option(metavar="UUID", help="Only this further admin and its tenants.")] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """List the tenants and further admins, by UUID."""
    from cli.answers import Tenants, read

    with output(as_json) as out:
        found: list[Any] = []
        filters = {"role": role and role.value, "admin": admin}
        given = {name: value for name, value in filters.items() if value is not None}
        cursor: str | None = ""
        while cursor is not None:
            params = {"search": search, "limit": 500} | given | ({"cursor": cursor} if cursor else {})
            answer = _control(url, "GET", "", params=params)
            page = read(answer, Tenants)
            found += answer["tenants"] if out.as_json else page.tenants
            cursor = page.next
        if out.as_json:
            out.document({"tenants": found})
        else:
            _show(found, out)


@app.command()
def show(uuid: Uuid, url: options.Url = None, as_json: options.Json = False) -> None:
    """Show one tenant or further admin, and its modules."""
    from cli.answers import Modules, read

    with output(as_json) as out:
        tenant = _control(url, "GET", uuid)
        modules = _control(url, "GET", uuid, "modules", params={"limit": 500})
        if out.as_json:
            out.document(tenant | {"modules": modules["modules"]})
            return
        _show_answer(tenant, out)
        out.line()
        rows = [
            (one.name, one.source, str(one.endpoints), one.problem.text if one.problem else "")
            for one in read(modules, Modules).modules
        ]
        out.table(("MODULE", "SOURCE", "ENDPOINTS", "PROBLEM"), rows)


@app.command()
def enable(uuid: Uuid, url: options.Url = None, as_json: options.Json = False) -> None:
    """Have calls of a tenant or further admin served again."""
    _change(uuid, {"status": "enabled"}, url, as_json)


@app.command()
def disable(uuid: Uuid, url: options.Url = None, as_json: options.Json = False) -> None:
    """Answer calls of a tenant or further admin with 403, and end its runners; an admin's tenants are served on."""
    _change(uuid, {"status": "disabled"}, url, as_json)


@app.command()
def plan(
    uuid: Uuid,
    plan: Annotated[str, typer.Argument(help="A plan of plans.toml.")],
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Give a tenant another plan, from its next runner on."""
    _change(uuid, {"plan": plan}, url, as_json)


@app.command("hand-over")
def hand_over(
    uuid: Uuid,
    admin: Annotated[
        str, typer.Argument(metavar="ADMIN", help="UUID of the admin whose it becomes; that of the installation's too.")
    ],
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Make a tenant another admin's. Its modules and keys stay as they are."""
    _change(uuid, {"admin": admin}, url, as_json)


@app.command("rotate-key")
def rotate_key(uuid: Uuid, url: options.Url = None, as_json: options.Json = False) -> None:
    """Replace the key of a tenant or further admin; the old one is refused within a second. The new one is shown this once."""
    with output(as_json) as out:
        _show_key(_control(url, "POST", uuid, "key"), out)


@app.command()
def rm(
    uuid: Uuid,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Remove a tenant, or a further admin that has no tenants, with its modules, after asking."""
    with output(as_json) as out:
        tenant = _control(url, "GET", uuid)
        if not yes and not typer.confirm(f"Remove {tenant['name']} ({uuid}) with all its modules?", err=True):
            raise Problem("Nothing was removed")
        _control(url, "DELETE", uuid)
        if out.as_json:
            out.document({"removed": uuid})
        else:
            out.line(f"Removed {tenant['name']} ({uuid}).")


def _change(uuid: str, change: dict[str, str], url: str | None, as_json: bool) -> None:
    with output(as_json) as out:
        _show_answer(_control(url, "PATCH", uuid, body=change), out)


def _control(url: str | None, method: str, *path: str, **sent: Any) -> Any:
    from cli.server import Server

    parts = ["/api/tenants", *(quote(part, safe="") for part in path if part)]
    return Server(installation.load(), url).control(method, "/".join(parts), **sent)


def _show_answer(answer: Any, out: Output) -> None:
    from cli.answers import Tenant, read

    if out.as_json:
        out.document(answer)
    else:
        _show([read(answer, Tenant)], out)


def _show_key(answer: Any, out: Output) -> None:
    _show_answer(answer, out)
    if not out.as_json:
        out.line()
        out.line(f"key  {answer['key']}")
        out.note("It is kept nowhere: write it down now. plugbay deploy takes it as PLUGBAY_KEY")


def _show(found: Iterable[Tenant], out: Output) -> None:
    rows = [
        (one.uuid, one.name, one.role, one.plan or "none", one.status, _day(one.created), one.admin or "-")
        for one in found
    ]
    out.table(("UUID", "NAME", "ROLE", "PLAN", "STATUS", "REGISTERED", "ADMIN"), rows)


def _day(created: float) -> str:
    return datetime.fromtimestamp(created).astimezone().strftime("%Y-%m-%d") if created else "?"
