"""What `plugbay doctor` looks at: each check says what it found and, when that is not well, what to do."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cli.check import Check
from cli.containers import sandboxes
from cli.installation import Installation
from cli.problem import NotAnswering, Problem
from cli.server import Server


def all_checks(here: Installation, url: str | None) -> list[Check]:
    """Everything `doctor` looks at, in the order in which to mend it."""
    checks = [
        _python(),
        _environment(here),
        _settings(here),
        *_plugin_folders(here),
        _data_dir(here),
        _secrets(here),
        _address(here, url),
        _program("node", "nodejs", "functions that run Node programs"),
        _program("java", "default-jre-headless", "functions that run Java programs"),
        *sandboxes(),
    ]
    return [replace(check, fix="") if check.ok else check for check in checks]


def _python() -> Check:
    fix = "apt-get install python3.11 python3.11-venv, then rm -r .venv and start again"
    return Check("python", sys.version_info >= (3, 11), f"Python {platform.python_version()}", fix)


def _environment(here: Installation) -> Check:
    venv = here.program / ".venv"
    try:
        digest = hashlib.sha256((here.program / "requirements.lock").read_bytes()).hexdigest()
        made_from = (venv / "plugbay.lock").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return Check("environment", False, f"{error.filename} cannot be read: {error.strerror}", "./plugbay --version")
    current = f"{digest} requirements.lock" in made_from and Path(sys.prefix).resolve() == venv.resolve()
    finding = f"{venv} is what requirements.lock asks for" if current else f"this is not {venv} as the lock asks for"
    return Check("environment", current, finding, "./plugbay --version makes it")


def _settings(here: Installation) -> Check:
    from settings import BadSettings, load

    # Before the first start there are no secrets, which is well.
    unborn = {"ADMIN_UUID": "00000000-0000-0000-0000-000000000000", "ADMIN_KEY": "made at the first start"}
    try:
        load(here.root, unborn | {name: value for name, value in here.values.items() if value})
    except BadSettings as error:
        return Check(
            "settings", False, str(error), f"correct it in {here.root / '.env'}, .env.local or the environment"
        )
    return Check("settings", True, f"{here.root / '.env'} has no wrong value")


def _plugin_folders(here: Installation) -> Iterator[Check]:
    for folder in here.plugins:
        if not folder.is_dir():
            yield Check("plugins", False, f"{folder} is no folder", f"mkdir -p '{folder}', or change PLUGINS in .env")
        elif not os.access(folder, os.R_OK | os.X_OK):
            yield Check("plugins", False, f"{folder} cannot be read", f"chmod u+rx '{folder}'")
        else:
            yield Check("plugins", True, f"{folder} can be read")


def _data_dir(here: Installation) -> Check:
    folder = here.data_dir
    existing = next(there for there in (folder, *folder.parents) if there.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Check("data", True, f"{folder} can be written" + ("" if existing == folder else " (not made yet)"))
    fix = f"chmod u+rwx '{existing}', or change DATA_DIR in .env" if existing.is_dir() else "change DATA_DIR in .env"
    return Check("data", False, f"{folder} cannot be written: {existing} does not allow it", fix)


def _secrets(here: Installation) -> Check:
    file = here.root / ".env.local"
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return Check("secrets", True, f"{file} is made at the first start")
    closed = mode & 0o077 == 0
    return Check("secrets", closed, f"{file} has mode {mode:o}", f"chmod 600 '{file}'")


def _address(here: Installation, url: str | None) -> Check:
    if not url and here.port == "0":
        return Check("address", True, "each start takes a free port")
    server = Server(here, url)
    try:
        server.control("GET", "/api/pools")
    except NotAnswering as problem:
        if url:
            return Check("address", False, problem.message, "start it there, or correct --url or PLUGBAY_URL")
        return _port(here)
    except Problem as problem:
        return Check("address", False, problem.message, "set PLUGBAY_KEY, or change GATEWAY_PORT in .env")
    return Check("address", True, f"Plugbay answers at {server.url}")


def _port(here: Installation) -> Check:
    """Whether Plugbay could listen where nothing answers."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            here.values.get("GATEWAY_HOST") or here.host, int(here.port), type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except (OSError, ValueError, OverflowError) as error:
        fixes = {
            errno.EADDRINUSE: "end what listens there, or change GATEWAY_PORT in .env",
            errno.EACCES: "only root may use ports below 1024: change GATEWAY_PORT in .env",
        }
        fix = fixes.get(getattr(error, "errno", None) or 0, "change GATEWAY_HOST or GATEWAY_PORT in .env")
        finding = getattr(error, "strerror", None) or str(error)
        return Check("address", False, f"{here.url} cannot be listened at: {finding}", fix)
    return Check("address", True, f"{here.url} is free; ./runserver.sh or ./docker-up.sh starts Plugbay")


def _program(name: str, package: str, users: str) -> Check:
    found = shutil.which(name)
    finding = found or f"not installed; only {users} need it"
    return Check(name, found is not None, finding, f"apt-get install {package}", required=False)
