"""`plugbay deploy`: a module of a tenant, sent to Plugbay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import output
from cli.problem import USAGE, Problem


def deploy(
    file: Annotated[Path, typer.Argument(help="Source of the module.")],
    tenant: Annotated[str, typer.Option(help="UUID of the tenant whose module this is.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the module.", show_default="that of the file, without .py")
    ] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Upload a module of a tenant. It serves when this returns, or what is wrong with it is shown."""
    from cli.answers import Uploaded, read
    from cli.server import Server

    with output(as_json) as out:
        try:
            source = file.read_bytes()
        except OSError as error:
            raise Problem(f"{file} cannot be read: {error.strerror}", USAGE) from error
        path = f"/api/tenants/{quote(tenant, safe='')}/modules/{quote(name or file.stem, safe='')}"
        answer = Server(installation.load(), url).upload(path, source, "text/x-python")
        if out.as_json:
            out.document(answer)
            return
        found = read(answer, Uploaded)
        out.line(f"{found.name} serves.")
        out.table(("API", "METHODS", "PATH"), [(one.api, "|".join(one.methods), one.path) for one in found.exposes])
