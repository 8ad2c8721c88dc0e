"""`plugbay elevate`: a tenant gets an installation of its own, in which it is the admin."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import installation, options
from cli.output import Output, output
from cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from cli.elevation.state import Elevation, Elevations
    from cli.elevation.steps import Steps
    from cli.installation import Installation
    from cli.server import Server

_PORTS_TRIED: Final = 100
_TRUST: Final = {
    "embedded": "It runs there as trusted code: as your user, with your files and the network. It can read and change "
    "what you can, the secrets and tenants of this installation among that.",
    "stack": "It runs there as trusted code: in containers of an admin's runners, with the network, and bounded by no "
    "plan.",
}
"""What the operator decides, by kind."""


def elevate(
    uuid: Annotated[str, typer.Argument(metavar="UUID", help="The tenant's UUID.")],
    undo: Annotated[bool, typer.Option("--undo", help="Have the tenant stay, or be served here again.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the new installation.", show_default="plugbay-UUID beside this one")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its port.", show_default="the next one that is free")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Where callers find it.", show_default="that port on this machine")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Give a tenant an installation of its own, on this machine. Started again, it goes on where it ended."""
    from cli.elevation.state import Elevations

    with output(as_json) as out:
        here = installation.load()
        elevations = Elevations(here)
        with elevations.turn():
            if undo:
                _undo(here, elevations, uuid, yes, out)
            else:
                _elevate(here, elevations, uuid, (folder, port, address), yes, out)


def _elevate(
    here: Installation,
    elevations: Elevations,
    uuid: str,
    wanted: tuple[Path | None, int | None, str | None],
    yes: bool,
    out: Output,
) -> None:
    steps, tenant = _begun(here, uuid, out)
    if tenant["status"] == "elevated":
        raise Problem(f"{tenant['name']} is elevated already: its installation is {tenant['address']}")
    if tenant["role"] == "admin":
        raise Problem(f"{tenant['name']} is an admin: only a tenant is given an installation of its own")
    kept = _known(elevations, tenant)
    if kept is None:
        kept = _planned(here, steps.old, tenant, *wanted)
    elif any(wanted):
        raise Problem(f"Its elevation to {kept.folder} has begun: go on without options, or --undo it first", USAGE)
    question = f"{kept.name} gets an installation of its own in {kept.folder}. {_TRUST[kept.kind]} Go on?"
    if not yes and not typer.confirm(question, err=True):
        raise Problem("Nothing was changed")
    steps.elevate(kept)
    _show(kept, out)


def _begun(here: Installation, uuid: str, out: Output) -> tuple[Steps, Any]:
    """What takes the steps, and the tenant as it is here. Raises Problem."""
    from cli.elevation.steps import Steps
    from cli.server import Server

    old = Server(here, None)
    return Steps(here, old, out.note), old.control("GET", f"/api/tenants/{old.owner(uuid)}")


def _known(elevations: Elevations, tenant: Any) -> Elevation | None:
    """What is remembered; of one that was undone since, nothing counts any more."""
    return elevations.find(tenant["uuid"]) if tenant["address"] else None


def _undo(here: Installation, elevations: Elevations, uuid: str, yes: bool, out: Output) -> None:
    steps, tenant = _begun(here, uuid, out)
    if not tenant["address"]:
        raise Problem(f"{tenant['name']} does not move: there is nothing to undo")
    kept = _known(elevations, tenant)
    name, elevated = tenant["name"], tenant["status"] == "elevated"
    place = kept.folder if kept is not None else tenant["address"]
    if elevated:
        will = f"{name} is served here again, as it was when it moved. What was changed since then at {place} stays "
        will += "there alone" + ("; it is stopped, and kept." if kept is not None else ": stop it yourself.")
    else:
        will = f"{name} stays" + (f", and {place} is removed." if kept is not None else f". Stop what is at {place}.")
    if not yes and not typer.confirm(f"{will} Go on?", err=True):
        raise Problem("Nothing was changed")
    if kept is None:
        steps.stay(tenant["uuid"])
    elif elevated:
        steps.bring_back(kept)
    else:
        steps.undo(kept)
    if out.as_json:
        out.document({"undone": tenant["uuid"], "folder": kept and kept.folder, "kept": elevated})
    else:
        out.line(will)


def _planned(
    here: Installation, old: Server, tenant: Any, folder: Path | None, port: int | None, address: str | None
) -> Elevation:
    """Where the new installation is to be. Raises Problem."""
    from cli.elevation.folder import require_free
    from cli.elevation.service import holder
    from cli.elevation.state import Elevation

    place = (folder or here.root.parent / f"plugbay-{tenant['uuid']}").expanduser().absolute()
    require_free(place)
    is_stack = old.url == here.stack_url and holder(here) is None
    host = here.values.get("HTTP_HOST" if is_stack else "GATEWAY_HOST") or "127.0.0.1"
    first = int(here.values.get("HTTP_PORT") or "8080") if is_stack else int(here.port)
    port = port or _free_port(host, first + 1)
    own = old.url.rpartition(":")[0]
    return Elevation(
        uuid=tenant["uuid"],
        name=tenant["name"],
        folder=str(place),
        kind="stack" if is_stack else "embedded",
        port=port,
        address=(address or f"{own}:{port}").rstrip("/"),
    )


def _free_port(host: str, first: int) -> int:
    """The first one from here on that nothing listens at. Raises Problem."""
    for port in range(first, first + _PORTS_TRIED):
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                return port
        except (OSError, OverflowError):  # taken, or no port any more
            continue
    raise Problem(f"No port from {first} on is free: name one (--port)")


def _show(kept: Elevation, out: Output) -> None:
    if out.as_json:
        out.document({"elevated": kept.uuid, "folder": kept.folder, "address": kept.address})
        return
    out.line(f"{kept.name} has an installation of its own at {kept.address}")
    out.line(f"  folder   {kept.folder}")
    out.line(f"  admin    {kept.uuid}  (its key is the tenant's, and ADMIN_KEY of its .env.local)")
    if kept.kind == "embedded":
        out.line("  runs     in the background; from its next start on by its ./runserver.sh, as this one does")
    out.line(f"  undo     ./plugbay elevate {kept.uuid} --undo")
