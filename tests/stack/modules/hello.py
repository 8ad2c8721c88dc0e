"""What the stack's tests call."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import expose


@expose.endpoint(method="GET|POST", API="hello-world")
def hello(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": args, "kwargs": kwargs}


@expose.endpoint()
def connect(address: str, port: int) -> str:
    """Whether a server can be reached from here."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


@expose.endpoint()
def there(path: str) -> bool:
    """Whether there is such a file."""
    return Path(path).exists()
