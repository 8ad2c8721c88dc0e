"""The folder of a new installation: its settings, secrets and plans, and scripts that have this program serve it."""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from cli.elevation.state import Elevation
from cli.installation import HOME_VARIABLE, Installation
from cli.problem import Problem

SCRIPTS: Final = (
    *("runserver.sh", "plugbay"),
    *("docker-up.sh", "docker-dn.sh", "docker-logs.sh", "docker-restart.sh", "docker-store.sh"),
)
EXPORT: Final = "elevation.export"
"""What the tenant had, as the old installation gave it."""
IMPORT: Final = "elevation.import"
"""The same, ready for the new store."""
_OWN: Final = frozenset(
    {
        *("ADMIN_UUID", "MONGO_DATABASE", "MONGO_TENANT", "MONGO_MODULES", "MONGO_ADMIN", "MONGO_AUDIT"),
        *("PLUGINS", "DATA_DIR", "PLANS", "ADMIN_ENV_FILE", "GATEWAY_PORT", "HTTP_PORT"),
        *("HOST_NAME", "RUNNERS_DIR", "ADMIN_NETWORK", "ADMIN_IMAGE", "TENANT_IMAGE"),
    }
)
"""Settings that each installation has for itself, besides secrets; the others are as they are here."""
_TENANTS_TO_ALL: Final = ("REQUIRE_TOKENS", "REQUIRE_SIGN_IN", "REQUIRE_SIGNED_MODULES")
"""What is asked of tenants here is asked of the admin there: it is the same one."""
_FILES: Final = ("TLS_CERT", "TLS_KEY")
_OF_PROVIDER: Final = "OIDC_CLIENT_SECRET"
"""What this installation proves itself with to those who know people; the one secret that moves along."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@,*+=|-]*")


def make(elevation: Elevation, here: Installation, run_time: Mapping[str, str]) -> None:
    """Makes what is missing. `run_time`: settings that were changed through the control plane. Raises Problem."""
    folder = elevation.path
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("plugins", "secrets"):
            _open_folder(folder / name)
        if not (folder / "plans.toml").exists():
            _write(folder / "plans.toml", _plans(here).read_bytes(), 0o644)
        for name in SCRIPTS:
            _write(folder / name, _script(here.program / name).encode(), 0o755)
        if not (folder / ".env").exists():
            _write(folder / ".env", _settings(elevation, here, run_time).encode(), 0o644)
        if not (folder / ".env.local").exists():
            _write(folder / ".env.local", _secrets(elevation, here).encode(), 0o600)
    except OSError as error:
        raise Problem(f"{error.filename or folder} cannot be made: {error.strerror}") from error


def put_module(elevation: Elevation, files: Mapping[str, bytes]) -> None:
    """Puts a module into the plugin folder. Raises OSError."""
    for path, content in files.items():
        file = elevation.path / "plugins" / path
        for folder in reversed(PurePosixPath(path).parents[:-1]):
            _open_folder(elevation.path / "plugins" / folder)
        _write(file, content, 0o644)


def require_free(folder: Path) -> None:
    """Raises Problem when something is there already."""
    try:
        if not any(folder.iterdir()):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise Problem(f"{folder} cannot be used: {error.strerror}: name another folder (--folder)") from error
    raise Problem(f"{folder} is there already: remove it, or name another folder (--folder)")


def _plans(here: Installation) -> Path:
    return (here.root / Path(here.values.get("PLANS") or "plans.toml").expanduser()).absolute()


def _script(program: Path) -> str:
    return (
        "#!/bin/sh\n"
        "# This installation is the folder that this file is in. The program that serves it is elsewhere.\n"
        f'export {HOME_VARIABLE}="$(dirname "$(readlink -f "$0")")"\n'
        f'exec {shlex.quote(str(program))} "$@"\n'
    )


def _settings(elevation: Elevation, here: Installation, run_time: Mapping[str, str]) -> str:
    """The text of `.env`. Raises Problem."""
    from settings import Settings

    taken = [name for name, field in Settings.model_fields.items() if name not in _OWN and field.repr]
    names = re.compile("|".join([*taken, r"URL_PARM\d+"]))
    found = {name: value for name, value in here.values.items() if value and names.fullmatch(name)} | dict(run_time)
    for name in _TENANTS_TO_ALL:
        if found.get(name) == "tenants":
            found[name] = "all"
    for name in _FILES:
        if name in found:
            found[name] = str((here.root / Path(found[name]).expanduser()).absolute())
    if "PUBLIC_URL" in found:
        found["PUBLIC_URL"] = elevation.address
    if elevation.kind == "stack":
        found |= {"COMPOSE_PROJECT_NAME": elevation.project, "HTTP_PORT": str(elevation.port)}
    else:
        found["GATEWAY_PORT"] = str(elevation.port)
    lines = [f"{name}={_quoted(name, value)}\n" for name, value in sorted(found.items())]
    return "".join(["# Settings of this installation, which was a tenant of another: as they were there.\n", *lines])


def _quoted(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value or "\n" in value:
        raise Problem(f"{name}: a value with a quote or a line end cannot be taken along: unset it, and set it there")
    return f"'{value}'"


def _secrets(elevation: Elevation, here: Installation) -> str:
    """The text of `.env.local`; the first start adds the rest. Raises Problem."""
    made = {"ADMIN_UUID": elevation.uuid}
    made |= {name: secrets.token_urlsafe(32) for name in ("ADMIN_KEY", "SECRETS_KEY", "PROXY_SECRET")}
    if here.values.get(_OF_PROVIDER):
        made[_OF_PROVIDER] = _quoted(_OF_PROVIDER, here.values[_OF_PROVIDER])
    lines = [f"{name}={value}\n" for name, value in made.items()]
    return "".join(["# Made for this installation. Secret: readable by you alone, never committed.\n", *lines])


def _open_folder(folder: Path) -> None:
    """A folder that the stack's processes can read, which are other users. Raises OSError."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def private(file: Path) -> BinaryIO:
    """A new file in place of one that may be there, which its owner alone may read. Raises OSError."""
    file.unlink(missing_ok=True)
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _write(file: Path, content: bytes, mode: int) -> None:
    """Writes a file, whole or not at all. Raises OSError."""
    new = file.with_name(f"{file.name}.new")
    with private(new) as stream:
        stream.write(content)
    new.chmod(mode)
    new.replace(file)
