"""Third-party packages of admin modules: what `requirements.txt` in the plugin folders names.

They are installed into a folder of their own, one per content of the requirements, which only admin
workers have on their import path. A failed installation leaves the packages before it in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

log = logging.getLogger("plugbay.packages")

REQUIREMENTS: Final = "requirements.txt"
_MAX_BYTES: Final = 64 * 1024
_INSTALL_SECS: Final = 600
_SHOWN: Final = 2000
"""Characters of the installer's last words that are kept when it fails."""


class Packages:
    """See runner.pool.Environment. `digest` names what is installed and in use."""

    def __init__(self, folders: Sequence[Path], data_dir: Path) -> None:
        self.on_change: list[Callable[[], None]] = []
        """Called when other packages are in use than before."""
        self.digest = ""
        self.problem: str | None = None
        """Why the requirements as they stand now are not in use."""
        self._folders = folders
        self._home = data_dir / "packages"
        self._settled = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    def variables(self) -> dict[str, str]:
        """See Environment: admin code has the process environment, and nothing besides."""
        return {}

    def packages(self) -> list[str]:
        """See Environment."""
        return [str(self._home / self.digest)] if self.digest else []

    def _requirements(self) -> list[Path]:
        files = [folder / REQUIREMENTS for folder in self._folders]
        return [file for file in files if file.is_file() and file.stat().st_size <= _MAX_BYTES]

    def _wanted(self) -> str:
        """Digest of the requirements; empty when nothing is required."""
        texts = [file.read_bytes() for file in self._requirements()]
        if not any(line.split(b"#")[0].strip() for text in texts for line in text.splitlines()):
            return ""
        return hashlib.sha256(b"\0".join([sys.version.encode(), *texts])).hexdigest()[:32]

    async def start(self) -> None:
        """Uses what is installed already, and installs the rest in the background."""
        wanted = self._wanted()
        if (self._home / wanted).is_dir():
            self.digest = wanted
        self._watching = asyncio.create_task(self._watch(), name="watch requirements")

    async def close(self) -> None:
        """Stops watching, and an installation under way."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def wait(self, seconds: float) -> None:
        """Returns when what is required at the start is in use, or cannot be, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()

    async def _watch(self) -> None:
        await self._update()
        self._settled.set()
        folders = [folder for folder in self._folders if folder.is_dir()]
        async for _ in awatch(*folders, watch_filter=_is_requirements, recursive=False, step=50, debounce=500):
            await self._update()

    async def _update(self) -> None:
        """Brings the packages in use to what is required now."""
        try:
            wanted = self._wanted()
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror}"
            log.error("%s %s", REQUIREMENTS, self.problem)
            return
        if wanted != self.digest and wanted and not await self._install(wanted):
            return
        self.problem = None
        if wanted == self.digest:
            return
        self.digest = wanted
        log.info("packages of %s are in use", REQUIREMENTS)
        for changed in self.on_change:
            changed()

    async def _install(self, wanted: str) -> bool:
        """Installs into the folder of this digest, all or nothing."""
        if (self._home / wanted).is_dir():
            return True
        partial = self._home / f"{wanted}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        self._home.mkdir(parents=True, exist_ok=True)
        log.info("installing packages of %s", ", ".join(str(file) for file in self._requirements()))
        arguments = [argument for file in self._requirements() for argument in ("-r", str(file))]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--target", str(partial), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_INSTALL_SECS):
                output, _ = await process.communicate()
        except TimeoutError:
            output = b"the installer did not end in time"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            said = output.decode("utf-8", "replace").strip()[-_SHOWN:] or "the installer says nothing"
            log.error("%s could not be installed: %s", REQUIREMENTS, said)
            self.problem = f"could not be installed: {said.splitlines()[-1]}"
            return False
        partial.rename(self._home / wanted)
        return True


def _is_requirements(_: Change, path: str) -> bool:
    return Path(path).name == REQUIREMENTS
