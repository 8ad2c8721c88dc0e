"""`plugbay dir`: what can be called, and what cannot and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from cli import installation, options
from cli.output import output

if TYPE_CHECKING:
    from cli.answers import Directory, Endpoint


def dir(
    module: Annotated[str | None, typer.Argument(help="Only this module, by its name or alias.")] = None,
    tenant: options.Tenant = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show the modules and their endpoints, and which modules do not load."""
    from cli.answers import Directory, read
    from cli.server import Server

    with output(as_json) as out:
        parts = ["/rest/services", *(quote(part, safe="") for part in (tenant, module) if part), "__dir__/"]
        answer = Server(installation.load(), url).directory("/".join(parts))
        if out.as_json:
            out.document(answer)
            return
        found = read(answer, Directory)
        out.table(("MODULE", "API", "METHODS", "PARAMETERS", "WHAT IT DOES"), _rows(found))
        for problem in found.problems:
            line = f", line {problem.line}" if problem.line else ""
            there = found.modules.get(problem.module)
            state = "its last good version serves" if there and there.serves else "it does not serve"
            out.line(f"✗ {problem.module}{line}: {problem.text} ({state})", style="red")
        for skipped in found.skipped:
            out.line(f"– {skipped.path} is not taken as a module: {skipped.reason}", style="yellow")
        if not found.modules:
            out.note("There are no modules yet: plugbay new NAME writes one")


def _rows(found: Directory) -> Iterator[tuple[str, str, str, str, str]]:
    for name, module in found.modules.items():
        shown = f"{name} ({module.alias})" if module.alias else name
        endpoints: dict[str, Endpoint] = {}
        methods: dict[str, list[str]] = {}
        for method, apis in found.endpoints.get(name, {}).items():
            for api, endpoint in apis.items():
                endpoints[api] = endpoint
                methods.setdefault(api, []).append(method)
        for api, endpoint in endpoints.items():
            summary = endpoint.doc.strip().partition("\n")[0]
            yield shown, api, "|".join(methods[api]), ", ".join(_parameters(endpoint)), summary
        if not endpoints:
            yield shown, "", "", "", "exposes nothing" if module.serves else ""


def _parameters(endpoint: Endpoint) -> Iterator[str]:
    for parameter in endpoint.parameters:
        kind = f": {parameter.type}" if parameter.type else ""
        yield f"{parameter.name}{kind}" + ("" if parameter.required else f" = {parameter.default}")
