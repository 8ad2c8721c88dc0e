"""This installation's settings as the tool needs them: where Plugbay listens, the admin's key, the folders.

Read from `.env`, then `.env.local`, then real environment variables; the later wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.problem import NO, Problem

ROOT = Path(__file__).resolve().parent.parent
HOME_VARIABLE = "PLUGBAY_HOME"
HOME = Path(os.environ.get(HOME_VARIABLE) or ROOT).absolute()
"""Folder of this installation, see `settings.HOME`."""

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Addresses to listen on that are none to connect to, and which one to take then."""


@dataclass(frozen=True)
class Installation:
    """One installation and its settings, as text."""

    root: Path
    """Its folder: the checkout's, or another one that is served by the same program."""
    values: Mapping[str, str]
    program: Path = ROOT
    """The folder of the program that serves it."""

    @property
    def host(self) -> str:
        """Address to reach Plugbay at from this machine."""
        host = self.values.get("GATEWAY_HOST", "")
        return _EVERY_ADDRESS.get(host, host)

    @property
    def hosts(self) -> set[str]:
        """Names or addresses that are this installation's own."""
        stack = self.values.get("HTTP_HOST", "") if self.stack_url else ""
        return {self.host, _EVERY_ADDRESS.get(stack, stack)}

    @property
    def port(self) -> str:
        """Port Plugbay listens on, as written."""
        return self.values.get("GATEWAY_PORT") or "8080"

    @property
    def url(self) -> str:
        """Where ./runserver.sh has Plugbay listen."""
        return f"http://{_bracketed(self.host)}:{self.port}"

    @property
    def stack_url(self) -> str | None:
        """Where ./docker-up.sh has the stack listen; None where that was never run, which made its passwords."""
        if not self.values.get("MONGO_PASSWORD"):
            return None
        host = self.values.get("HTTP_HOST", "")
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{_bracketed(_EVERY_ADDRESS.get(host, host))}:{self.values.get('HTTP_PORT') or '8080'}"

    @property
    def urls(self) -> list[str]:
        """Where Plugbay may listen: the stack first, where there is one."""
        stack = self.stack_url
        return [self.url] if stack in (None, self.url) else [stack, self.url]

    @property
    def certificate(self) -> Path | None:
        """File with the stack's certificate; None: it speaks plain HTTP."""
        file = self.values.get("TLS_CERT")
        return self._path(file) if file else None

    @property
    def admin_key(self) -> str | None:
        """Key of the control plane; None before the first start."""
        return self.values.get("ADMIN_KEY") or None

    @property
    def installation_key(self) -> str | None:
        """Private key that sealed uploads are opened with; None before the first start."""
        return self.values.get("INSTALLATION_KEY") or None

    @property
    def admin_uuid(self) -> str | None:
        """UUID of the admin; None before the first start."""
        return self.values.get("ADMIN_UUID") or None

    @property
    def token_key(self) -> str | None:
        """Key that tokens for calls are made with, where this machine has one."""
        return self.values.get("PLUGBAY_TOKEN_KEY") or None

    @property
    def plugins(self) -> list[Path]:
        """Folders with modules."""
        return [self._path(part) for part in (self.values.get("PLUGINS") or "plugins").split(":") if part]

    @property
    def data_dir(self) -> Path:
        """Folder of the embedded store."""
        return self._path(self.values.get("DATA_DIR") or "data")

    def _path(self, text: str) -> Path:
        return (self.root / Path(text).expanduser()).absolute()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def load(root: Path = HOME, environ: Mapping[str, str] = os.environ) -> Installation:
    """The installation in this folder. Missing files count as empty. Raises Problem when one cannot be read."""
    values: dict[str, str] = {}
    for source in (_read(root / ".env"), _read(root / ".env.local"), environ):
        values |= {name: value for name, value in source.items() if value is not None}
    return Installation(root, values)


def _read(file: Path) -> dict[str, str | None]:
    from dotenv import dotenv_values

    try:
        return dotenv_values(file)
    except UnicodeDecodeError as error:
        raise Problem(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8", NO) from error
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}", NO) from error
