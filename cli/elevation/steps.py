"""The steps of an elevation, in order. Each can be taken again; the last one is where the tenant is served there alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.elevation import folder, service
from cli.elevation.state import Elevation, Elevations
from cli.elevation.verify import verify
from cli.installation import Installation
from cli.problem import Problem
from cli.server import Server


class Steps:
    """The way of one tenant, from the old installation to the new one and back."""

    def __init__(self, here: Installation, old: Server, tell: Callable[[str], None]) -> None:
        """`tell` says to people what is being done."""
        self._here = here
        self.old = old
        """The old installation."""
        self._tell = tell
        self._kept = Elevations(here)

    def elevate(self, elevation: Elevation) -> None:
        """Takes the steps that are not taken yet. Raises Problem; then it can be called again, or `undo`."""
        self.old.control("PUT", self._path(elevation.uuid), body={"address": elevation.address})
        self._kept.keep(elevation)
        self._tell(f"Making the installation in {elevation.path} …")
        elevation.copied &= (elevation.path / ".env.local").exists()  # else somebody has removed it
        folder.make(elevation, self._here, self._run_time())
        if not elevation.copied:
            self._copy(elevation)
        self._tell("Starting it …")
        service.start(elevation)
        self._tell("Looking whether everything is there …")
        verify(elevation, self.old)
        self.old.control("POST", self._path(elevation.uuid))

    def undo(self, elevation: Elevation) -> None:
        """Has the tenant stay, and leaves nothing of the new installation. Raises Problem."""
        self._tell(f"Removing {elevation.path} …")
        service.remove(elevation)
        self.old.control("DELETE", self._path(elevation.uuid))
        self._kept.forget(elevation.uuid)

    def stay(self, uuid: str) -> None:
        """Has a tenant stay of whose elevation nothing more is remembered. Raises Problem."""
        self.old.control("DELETE", self._path(uuid))

    def bring_back(self, elevation: Elevation) -> None:
        """Has an elevated tenant be served here again; the new installation is stopped, and stays. Raises Problem."""
        if elevation.path.exists():
            self._tell("Stopping the new installation …")
            service.stop(elevation)
        self.old.control("DELETE", self._path(elevation.uuid))
        self._kept.forget(elevation.uuid)

    def _copy(self, elevation: Elevation) -> None:
        from store.moving import Resealer, move
        from store.records import BadFile
        from store.sealing import Unsealable

        self._tell("Copying modules, variables and keys …")
        exported, ready = elevation.path / folder.EXPORT, elevation.path / folder.IMPORT
        try:
            with folder.private(exported) as file:
                self.old.download(f"/api/tenants/{elevation.uuid}/export", file)
            keys = (self._here.values.get(name, "") for name in ("SECRETS_KEY", "SECRETS_KEY_OLD"))
            resealer = Resealer(elevation.installation().values.get("SECRETS_KEY", ""), *keys)
            with exported.open("rb") as source, folder.private(ready) as target:
                for files in move(source, target, resealer):
                    folder.put_module(elevation, files)
            service.fill(elevation)
        except OSError as error:
            raise Problem(f"{error.filename or elevation.path} cannot be written: {error.strerror}") from error
        except BadFile as error:
            raise Problem(f"What Plugbay gave of the tenant cannot be read: {error}") from error
        except (Unsealable, ValueError) as error:
            raise Problem(f"What is sealed here cannot be read, so it cannot move: {error}") from error
        finally:
            _forget(exported, ready)
        elevation.copied = True
        self._kept.keep(elevation)

    def _run_time(self) -> dict[str, str]:
        """Settings as the control plane has changed them."""
        settings: list[dict[str, Any]] = self.old.control("GET", "/api/settings")["settings"]
        return {one["name"]: str(one["value"]) for one in settings if one["value"] != one["default"]}

    def _path(self, uuid: str) -> str:
        return f"/api/tenants/{uuid}/elevation"


def _forget(*files: Path) -> None:
    """Removes what held everything of the tenant. Raises Problem."""
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise Problem(f"{error.filename} cannot be removed: {error.strerror}") from error
