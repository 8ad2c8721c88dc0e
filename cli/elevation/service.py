"""Starts and stops a new installation, by its own scripts, and fills its store."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from cli.elevation.folder import IMPORT
from cli.elevation.state import Elevation
from cli.installation import Installation
from cli.problem import Problem
from cli.server import Server

START_SECS: Final = 120.0
"""How long the embedded kind may take to answer; ./docker-up.sh has bounds of its own."""
STOP_SECS: Final = 90.0
"""How long it may take to end; it lets calls finish before."""
_LOOK_SECS: Final = 0.2
_ANSWER_SECS: Final = 2.0
START_LOG: Final = "start.log"
"""What an installation says when it is started here."""
LOG: Final = "plugbay.log"
"""What it says from then on."""
_IMAGES: Final = ("gateway", "host", "runner-admin", "runner-tenant")


def server(elevation: Elevation) -> Server:
    """The new installation, spoken to as its admin."""
    there = elevation.installation()
    return Server(there, there.stack_url if elevation.kind == "stack" else there.url, key=there.admin_key)


def fill(elevation: Elevation) -> None:
    """Has the new store hold what is to be imported. Raises Problem."""
    if elevation.kind == "stack":
        _run(elevation, "docker-up.sh")
        _run(elevation, "docker-store.sh", "import", str(elevation.path / IMPORT))
    else:
        stop(elevation)
        _run(elevation, "plugbay", "store", "import", str(elevation.path / IMPORT))


def start(elevation: Elevation) -> None:
    """Returns when it is ready to serve calls. Raises Problem."""
    if elevation.kind == "stack":
        if not server(elevation).is_ready(_ANSWER_SECS):
            _run(elevation, "docker-up.sh")
        return
    process = _launch(elevation) if holder(elevation.installation()) is None else None
    until = time.monotonic() + START_SECS
    while not server(elevation).is_ready(_ANSWER_SECS):
        if process is not None and process.poll() is not None:
            raise Problem(f"The new installation did not start: {_last_line(elevation.path / START_LOG)}")
        if time.monotonic() > until:
            raise Problem(f"The new installation is not ready after {START_SECS:.0f} s: see {elevation.path / LOG}")
        time.sleep(_LOOK_SECS)


def stop(elevation: Elevation) -> None:
    """Returns when nothing of it runs any more. Its data stay. Raises Problem."""
    if elevation.kind == "stack":
        if elevation.installation().stack_url is not None:  # else it was never started
            _run(elevation, "docker-dn.sh")
        return
    until = time.monotonic() + STOP_SECS
    asked = 0
    while (process := holder(elevation.installation())) is not None:
        if process not in (0, asked):
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(process, signal.SIGTERM)
            asked = process
        if time.monotonic() > until:
            raise Problem(f"The new installation does not end: stop process {process}, and run this again")
        time.sleep(_LOOK_SECS)


def remove(elevation: Elevation) -> None:
    """Leaves nothing of it. Raises Problem."""
    if elevation.kind == "stack" and elevation.path.exists():
        if elevation.installation().stack_url is not None:
            _run(elevation, "docker-dn.sh", "--volumes", "--yes")
        images = [f"{elevation.project}-{image}" for image in _IMAGES]
        # Some may not be there.
        subprocess.run(["docker", "image", "rm", *images], env=environ(), capture_output=True, check=False)
    elif elevation.path.exists():
        stop(elevation)
    try:
        shutil.rmtree(elevation.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Problem(f"{error.filename} cannot be removed: {error.strerror}") from error


def environ() -> dict[str, str]:
    """This process's environment without what would win over the settings of another installation."""
    from settings import STACK_SECRETS, Settings

    names = re.compile("|".join([*Settings.model_fields, r"URL_PARM\d+", STACK_SECRETS, r"(COMPOSE|PLUGBAY)_\w+"]))
    return {name: value for name, value in os.environ.items() if not names.fullmatch(name)}


def _launch(elevation: Elevation) -> subprocess.Popen[bytes]:
    """Starts it so that it outlives this process."""
    with (elevation.path / START_LOG).open("wb") as log:
        return subprocess.Popen(
            [elevation.path / "runserver.sh"],
            cwd=elevation.path,
            env=environ() | {"LOG_FILE": LOG},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def holder(there: Installation) -> int | None:
    """Id of the process that has the embedded store of an installation open, 0 while it has not said; None: none has."""
    try:
        lock = os.open(there.data_dir / "plugbay.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(lock, 20).decode("ascii", "replace").strip()
        return int(said) if said.isdecimal() else 0
    else:
        return None
    finally:
        os.close(lock)


def _run(elevation: Elevation, script: str, *arguments: str) -> None:
    """Runs one of its scripts; what it says on standard error is for people, as always. Raises Problem."""
    try:
        done = subprocess.run(
            [elevation.path / script, *arguments],
            cwd=elevation.path,
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise Problem(f"{elevation.path / script} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise Problem(f"{elevation.path / script} {' '.join(arguments)}".rstrip() + " failed, see above")


def _last_line(file: Path) -> str:
    lines = [line for line in file.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
