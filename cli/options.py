"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
Url = Annotated[
    str | None,
    typer.Option("--url", envvar="PLUGBAY_URL", help="Where Plugbay listens.", show_default="from .env"),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="UUID of the tenant whose modules these are.")]
