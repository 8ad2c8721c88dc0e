"""The commands of `plugbay`, put together."""

from __future__ import annotations

import tomllib
from typing import Annotated

import typer

from cli import (
    api_keys,
    audit,
    call,
    deploy,
    directory,
    doctor,
    elevate,
    env,
    installation_key,
    key,
    keys,
    logs,
    modules,
    new,
    pools,
    runtime_settings,
    store,
    tenants,
    token,
    usage,
)
from cli.installation import ROOT

app = typer.Typer(
    name="plugbay",
    help="Plugbay: your own functions as REST endpoints.",
    epilog="Exit codes: 0 done · 1 the answer was no · 2 not understood · 3 Plugbay does not answer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    new.new,
    deploy.deploy,
    modules.modules,
    modules.versions,
    modules.rollback,
    modules.pull,
    directory.dir,
    call.call,
    logs.logs,
    pools.pools,
    pools.scale,
    pools.drain,
    runtime_settings.settings,
    key.key,
    installation_key.installation_key,
    doctor.doctor,
    usage.usage,
    audit.audit,
    elevate.elevate,
):
    app.command()(command)
app.add_typer(tenants.app, name="tenants")
app.add_typer(keys.app, name="keys")
app.add_typer(api_keys.app, name="api-keys")
app.add_typer(token.app, name="token")
app.add_typer(env.app, name="env")
app.add_typer(store.app, name="store")


def _version(wanted: bool) -> None:
    if wanted:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        typer.echo(f"plugbay {project['version']}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Plugbay: your own functions as REST endpoints."""
