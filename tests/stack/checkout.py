"""A stack in a checkout of its own: its settings and secrets stand in files, and none of them is the default."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
from dotenv import dotenv_values

from tests import needs
from tests.stack.stack import ROOT, UNLIMITED, Stack

_NOT_COPIED: Final = shutil.ignore_patterns(
    *(".git", ".venv*", ".env.local*", "data", "tests", "benchmarks", "__pycache__", ".*_cache", ".hypothesis")
)
MORE: Final = Path(__file__).with_name("more")
GATEWAYS: Final = 3


class Checkout(Stack):
    """The checkout that is under test, copied into `folder`."""

    def __init__(self, folder: Path, sign_in: str) -> None:
        """`sign_in`: the image in the place of oauth2-proxy's."""
        shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
        super().__init__(folder / "plugins", folder)
        shutil.copyfile(UNLIMITED, folder / "plans.toml")
        self.more = folder / "more modules"
        """Its second plugin folder."""
        shutil.copytree(MORE, self.more, ignore=shutil.ignore_patterns("__pycache__"))
        self.variables = folder / "secrets" / "plugins.env"
        self.certificate = folder / "tls" / "cert.pem"
        self.url = f"https://127.0.0.1:{self.port}"
        make_certificate(self.certificate.parent)
        self.set(
            COMPOSE_PROJECT_NAME=self.project,
            COMPOSE_PROFILES="notes",
            HTTP_PORT=self.port,
            PLUGINS='"plugins:more modules"  # the second has a space in its name',
            NUM_URL_PARMS=12,
            URL_PARM11="eleventh",
            URL_PARM12="twelfth",
            TLS_CERT="tls/cert.pem",
            TLS_KEY="tls/key.pem",
            GATEWAYS=GATEWAYS,
            PREWARMED_RUNNERS=1,
            OIDC_ISSUER="https://id.example.org",
            OIDC_CLIENT_ID="plugbay",
            OIDC_CLIENT_SECRET="'a $ecret'",
            PUBLIC_URL="https://plugbay.example",
            OAUTH2_PROXY_IMAGE=sign_in,
            TENANT_RUNTIME="runsc" if "runsc" in needs.runtimes() else "runc",
        )
        self.environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "DOCKER_HOST")}
        self.environ["PROGRESS"] = "plain"

    def set(self, **settings: Any) -> None:
        """Adds lines to `.env`."""
        with (self.root / ".env").open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    @property
    def secrets(self) -> dict[str, str]:
        """What `.env.local` holds."""
        return {name: value or "" for name, value in dotenv_values(self.root / ".env.local").items()}

    def client(self, *, admin: bool = False) -> httpx.Client:
        """A client that trusts the certificate; with the admin's key, if asked to."""
        headers = {"Authorization": f"Bearer {self.secrets['ADMIN_KEY']}"} if admin else {}
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=self.url, headers=headers, verify=trusted, timeout=60)

    def call(self, path: str, **parameters: Any) -> Any:
        """What a function gives back, asked for on a connection of its own."""
        with self.client() as client:
            answer = client.get(f"/rest/services/{path}/", params=parameters)
        assert answer.status_code == 200, answer.text
        [value] = answer.json()["response"].values()
        return value


def make_certificate(folder: Path) -> None:
    """For 127.0.0.1, signed by itself. Everybody may read the key: who nginx is, differs from us."""
    folder.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "key.pem").chmod(0o644)
