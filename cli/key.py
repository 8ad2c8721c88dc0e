"""`plugbay key`: the one command that shows the admin's key."""

from __future__ import annotations

from cli import installation, options
from cli.output import output
from cli.problem import NO, Problem


def key(as_json: options.Json = False) -> None:
    """Show ADMIN_KEY, the key of the control plane."""
    with output(as_json) as out:
        found = installation.load().admin_key
        if found is None:
            raise Problem("There is no ADMIN_KEY yet: the first ./runserver.sh makes it, in .env.local", NO)
        if out.as_json:
            out.document({"ADMIN_KEY": found})
        else:
            out.line(found)
