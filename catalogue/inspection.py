"""Asks a runner to import a module and report its endpoints: a call like any other, of another kind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import msgspec

from calls.broker import Broker, Refused, ask
from calls.call import Call, Kind, Outcome, Reply, new_call_id

_WAIT_SECS: Final = 60.0
"""Seconds an inspection may wait for its turn; nobody but the catalogue waits for it."""


class Inspection:
    """Inspects modules through the broker; `limit` is in seconds."""

    def __init__(self, broker: Broker, limit: float) -> None:
        self._broker = broker
        self._limit = limit

    async def __call__(self, owner: str, module: str, candidates: Mapping[str, str]) -> Reply:
        """Imports `module` where all `candidates` (name → digest) can be imported, besides the modules
        the owner has already; gives the runner's answer, UNAVAILABLE when there is none to be had."""
        call = Call(
            id=new_call_id(),
            kind=Kind.INSPECT,
            owner=owner,
            revision=0,
            module=module,
            function="",
            concurrent=False,
            limit=self._limit,
            concurrency=0,
            deadline=time.time() + self._limit + _WAIT_SECS,
            payload=msgspec.msgpack.encode(candidates),
        )
        try:
            return await ask(self._broker, call)
        except Refused as refused:
            return Reply(call=call.id, outcome=Outcome.UNAVAILABLE, payload=refused.problem.encode())
