"""What happens to this installation's containers, as the Engine tells it, across the Engine's restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from runner.docker.engine import EngineError

log = logging.getLogger("plugbay.runner")

_RETRY_SECS: Final = 0.25
_MAX_LINE: Final = 1024 * 1024
_ACTIONS: Final = ("die", "pause", "destroy")

Happened = Callable[[str, str, dict[str, str]], None]
"""Called with container id, action and the action's attributes."""


async def follow(engine: Path, label: str, connected: Callable[[], Awaitable[None]], happened: Happened) -> None:
    """Follows for ever; to be run as a task and cancelled.

    `connected` is awaited each time the stream stands, before its first event is delivered: what
    happened while nobody listened is to be found out there. When it raises EngineError, or the
    stream ends, another stream is asked for.
    """
    away = False
    while True:
        try:
            async with contextlib.AsyncExitStack() as stack:
                reader, writer = await asyncio.open_unix_connection(engine, limit=_MAX_LINE)
                stack.callback(writer.close)
                await _ask(reader, writer, label)
                await connected()
                if away:
                    log.warning("the Docker Engine is back")
                away = False
                while line := await reader.readline():
                    event = json.loads(line)
                    happened(event["Actor"]["ID"], event["Action"], event["Actor"].get("Attributes") or {})
        except (OSError, ValueError, EngineError) as error:
            log.debug("events of the Docker Engine: %s", error)
        if not away:
            log.warning("the Docker Engine is away; runners that run go on")
        away = True
        await asyncio.sleep(_RETRY_SECS)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, label: str) -> None:
    """Asks for the stream. HTTP/1.0, so that its body is the events and nothing else. Raises ValueError."""
    filters: dict[str, Any] = {"type": ["container"], "label": [label], "event": list(_ACTIONS)}
    writer.write(f"GET /events?filters={quote(json.dumps(filters))} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise ValueError(f"the Engine answered {status!r}")
    while (await reader.readline()).strip():
        pass
