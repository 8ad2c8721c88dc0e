"""What only the first start makes: this installation's identity and secrets, in `.env.local`."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import settings

_GENERATED: Final[dict[str, Callable[[], str]]] = {
    "ADMIN_UUID": lambda: str(uuid.uuid4()),
    "ADMIN_KEY": lambda: secrets.token_urlsafe(32),
    "SECRETS_KEY": lambda: secrets.token_urlsafe(32),
    "INSTALLATION_KEY": lambda: secrets.token_urlsafe(32),
}


def generate_secrets(folder: Path, environ: Mapping[str, str]) -> list[str]:
    """Adds what is missing to `.env.local` in `folder` (mode 600), and gives the names added.

    What is set already, there, in `.env` or in `environ`, is never touched. Raises OSError, and BadSettings.
    """
    local = folder / ".env.local"
    made = settings.read(local)
    known = {**settings.read(folder / ".env"), **made, **environ}
    missing = [name for name in _GENERATED if not known.get(name) and not made.get(name)]
    if missing:
        descriptor = os.open(local, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as file:
            if file.tell() == 0:
                file.write("# Made at the first start. Secret: readable by you alone, never committed.\n")
            for name in missing:
                file.write(f"{name}={_GENERATED[name]()}\n")
    return missing
