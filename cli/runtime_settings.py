"""`plugbay settings`: the settings that may change while Plugbay runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cli import installation, options
from cli.output import output
from cli.problem import USAGE, Problem


def settings(
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Settings to change; NAME= goes back to what .env says."),
    ] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show or change what may change at run time: REQUIRE_TOKENS, NUM_URL_PARMS and URL_PARM1, URL_PARM2, …"""
    from cli.answers import Settings, read
    from cli.server import Server

    with output(as_json) as out:
        wanted = _wanted(changes or [])
        server = Server(installation.load(), url)
        method = "PATCH" if wanted else "GET"
        answer = server.control(method, "/api/settings", body=wanted or None)
        if out.as_json:
            out.document(answer)
            return
        rows = [
            (setting.name, str(setting.value), str(setting.default), setting.source)
            for setting in read(answer, Settings).settings
        ]
        out.table(("SETTING", "VALUE", "DEFAULT", "SOURCE"), rows)


def _wanted(changes: Sequence[str]) -> dict[str, int | str | None]:
    """The changes as the control plane takes them: counts as numbers, null to go back."""
    wanted: dict[str, int | str | None] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name:
            raise Problem(f"{change}: write it as NAME=VALUE, or NAME= to go back to what .env says", USAGE)
        is_count = name == "NUM_URL_PARMS" and value.isascii() and value.isdigit()
        wanted[name] = int(value) if is_count else value or None
    return wanted
