"""`plugbay doctor`: what is missing on this machine, and the command that fixes it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cli import installation, options
from cli.output import output
from cli.problem import NO


def doctor(url: options.Url = None, as_json: options.Json = False) -> None:
    """Say what is missing on this machine, and the command that fixes it.

    The exit code is 0 when everything is there that Plugbay itself needs.
    """
    from cli.checks import all_checks

    with output(as_json) as out:
        checks = all_checks(installation.load(), url)
        well = all(check.ok for check in checks if check.required)
        if out.as_json:
            out.document({"ok": well, "checks": [asdict(check) for check in checks]})
        for check in checks if not out.as_json else ():
            mark, style = ("✓", "green") if check.ok else ("✗", "red") if check.required else ("–", "yellow")
            out.line(f"{mark} {check.name}: {check.finding}", style)
            if not check.ok:
                out.line(f"    {check.fix}")
        if not well:
            raise typer.Exit(NO)
