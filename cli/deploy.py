"""`plugbay deploy`: a module of a tenant, sent to Plugbay."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from cli import installation, options, packing, sealing, signing
from cli.output import output

if TYPE_CHECKING:
    from cli.answers import Exposed


def deploy(
    path: Annotated[Path, typer.Argument(help="Source of the module, or folder of its package.")],
    tenant: Annotated[str, typer.Option(help="UUID of the tenant whose module this is.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the module.", show_default="that of the file or folder")
    ] = None,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal",
            help="Encrypt it for this installation: whoever stands between (a proxy that ends TLS, its logs, copies "
            "of what is sent) cannot read it.",
        ),
    ] = False,
    installation_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Seal it to this key, which the admin tells you (plugbay installation-key).",
            show_default="the one that the installation showed first",
        ),
    ] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Upload a module of a tenant. It serves when this returns, or what is wrong with it is shown."""
    from cli.answers import Uploaded, read
    from cli.server import Server

    with output(as_json) as out:
        packed = packing.pack(path)
        for line in packed.left_out:
            out.note(f"not taken: {line}")
        name = name or packed.name
        server = Server(installation.load(), url)
        owner = server.owner(tenant)
        headers = signing.header(owner, name, packed.data)
        sealed = seal or installation_key is not None
        if sealed:
            packed = sealing.sealed(packed, sealing.key_of(server, installation_key, out), owner, name)
        place = f"/api/tenants/{owner}/modules/{quote(name, safe='')}"
        with _progress(len(packed.data), shown=not as_json) as sent:
            answer = server.upload(place, packed.data, packed.media_type, headers, sent)
        if out.as_json:
            out.document(answer)
            return
        found = read(answer, Uploaded)
        out.line(f"{found.name} serves{', signed' if headers else ''}{', sealed' if sealed else ''}.")
        if sealed:
            out.note("What was sent can be read by this installation alone: by no proxy that ends TLS, log or copy.")
        out.table(("API", "METHODS", "PATH"), [(one.api, "|".join(one.methods), one.path) for one in found.exposes])
        for one in found.exposes:
            out.line(_curl(server.url, one))


def _curl(url: str, endpoint: Exposed) -> str:
    """A line for the shell that calls an endpoint."""
    method = "GET" if "GET" in endpoint.methods else endpoint.methods[0]
    target = shlex.quote(url + endpoint.path)
    if method == "GET":
        return f"curl {target}"
    return f"curl -X {method} -H 'Content-Type: application/json' -d '{{}}' {target}"


@contextmanager
def _progress(size: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar of how many bytes were sent, on a terminal; afterwards it says that the module is being imported."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        bar = progress.add_task("sending", total=size)

        def sent(count: int) -> None:
            progress.update(bar, completed=count, description="importing" if count >= size else "sending")

        yield sent
