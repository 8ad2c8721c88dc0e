"""A gateway or a host in a process of its own, for tests that kill or suspend it.

`python -m tests.calls.redis_peer host URL` answers no call and prints each call's id.
`python -m tests.calls.redis_peer gateway URL COUNT` sends so many calls of one owner, prints `sent`, and the
outcome of each.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from calls.broker import Answer
from calls.call import Call, Reply
from calls.redis.gateway import RedisBroker
from calls.redis.host import RedisHost
from tests.calls.ends import FixedPools, bounds, call


class SilentHost:
    """Runs nothing and answers nothing."""

    def accept(self, call: Call, answer: Answer) -> None:  # noqa: ARG002
        """See calls.broker.CallHandler."""
        print(call.id, flush=True)


def tell(reply: Reply) -> None:
    """One answer."""
    print(reply.outcome.name, flush=True)


async def host(url: str) -> None:
    """Serves until it is killed."""
    await RedisHost(url, "h", SilentHost(), FixedPools(admin=1), bounds()).open()
    await asyncio.Event().wait()


async def gateway(url: str, count: str) -> None:
    """Waits for its answers until it is killed."""
    broker = RedisBroker(url, 1000, 1000, 2**27)
    await broker.open()
    await broker.ready()
    for _ in range(int(count)):
        broker.submit(call(), tell)
    print("sent", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(host(sys.argv[2]) if sys.argv[1] == "host" else gateway(*sys.argv[2:]))
