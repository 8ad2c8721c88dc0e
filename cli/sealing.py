"""What uploads are sealed to: the key that is given, or the one that an installation showed first, kept in a file."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cli.packing import Packed
from cli.problem import USAGE, Problem
from cli.signing import config_folder

if TYPE_CHECKING:
    from cli.output import Output
    from cli.server import Server


def sealed(packed: Packed, public: bytes, owner: str, name: str) -> Packed:
    """The same, readable for the installation with this key alone. Raises Problem when it is no key."""
    from catalogue.sealed import MEDIA_TYPE, seal

    try:
        return packed._replace(data=seal(public, owner, name, packed.data), media_type=MEDIA_TYPE)
    except ValueError as error:
        raise Problem(f"Nothing can be sealed to this key: {error}", USAGE) from error


def key_of(server: Server, given: str | None, out: Output) -> bytes:
    """What to seal to for this installation: what is given, else what is kept, else what it shows now, which is then
    kept. Raises Problem."""
    from catalogue.sealed import fingerprint

    if given is not None:
        public = _decoded(given, "--installation-key")
        out.note(f"sealed to {fingerprint(public)}, as given")
        return public
    path = _place(server.url)
    kept = _read(path)
    if kept is not None:
        public = _decoded(kept, str(path))
        out.note(f"sealed to {fingerprint(public)}, as kept in {path}")
        return public
    from cli.answers import InstallationKey, read

    shown = read(server.control("GET", "/api/installation-key"), InstallationKey).public_key
    public = _decoded(shown, server.url)
    _keep(path, shown)
    out.note(f"sealed to {fingerprint(public)}, which {server.url} shows and {path} keeps from now on.")
    out.note("Compare it with what its admin says (plugbay installation-key): who stands between could show its own.")
    return public


def _decoded(text: str, where: str) -> bytes:
    try:
        public = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        public = b""
    if len(public) != 32:
        raise Problem(f"{where}: a key is 32 bytes in base64, as plugbay installation-key shows it", USAGE)
    return public


def _place(url: str) -> Path:
    """Where the key of the installation at this address lies."""
    return config_folder() / "installations" / f"{quote(url, safe='')}.pub"


def _read(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from error


def _keep(path: Path, public: str) -> None:
    """Writes a key that was not there before. Raises Problem."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{public}\n")
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}. Give the key: --installation-key") from error
