"""Private keys that uploads are signed with, one of each tenant, in files that only their owner can read."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import time
from pathlib import Path
from uuid import UUID

from cli.problem import USAGE, Problem

_SEED = 32


def config_folder() -> Path:
    """Where the tool keeps what is the user's own."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "plugbay"


def place(tenant: str) -> Path:
    """Where the key of a tenant lies: PLUGBAY_SIGNING_KEY, or a file of its UUID below ~/.config/plugbay/keys.

    Raises Problem.
    """
    if given := os.environ.get("PLUGBAY_SIGNING_KEY"):
        return Path(given).expanduser()
    try:
        name = f"{UUID(tenant)}.key"
    except ValueError as error:
        raise Problem(f"{tenant} is no UUID", USAGE) from error
    return config_folder() / "keys" / name


def make(tenant: str) -> Path:
    """Makes a key. Raises Problem, also when there is one."""
    path = place(tenant)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_SEED)) + b"\n")
    except FileExistsError as error:
        raise Problem(f"{path} is there already: move it away for another one") from error
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}") from error
    return path


def seed(tenant: str) -> bytes | None:
    """The private key of a tenant; None when there is none. Raises Problem."""
    path = place(tenant)
    try:
        found = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from error
    except binascii.Error:
        found = b""
    if len(found) != _SEED:
        raise Problem(f"{path} holds no key: plugbay keys new makes one")
    return found


def public(private: bytes) -> str:
    """The public half, in base64."""
    from nacl.signing import SigningKey

    return base64.b64encode(bytes(SigningKey(private).verify_key)).decode()


def header(tenant: str, name: str, data: bytes) -> dict[str, str]:
    """The header that signs an upload; none without a key. Raises Problem."""
    private = seed(tenant)
    if private is None:
        return {}
    from catalogue.signatures import HEADER, sign

    return {HEADER: sign(private, tenant, name, data, time.time_ns() // 1_000_000).text()}
