"""Functions that wait: `async def`, and limits of their own."""

import asyncio
import time

import expose


@expose.endpoint(API="wait-together")
async def wait_together(seconds: float = 0.1, times: int = 10) -> str:
    """Waits several times at once, which takes as long as once. Meanwhile its process runs other calls."""
    await asyncio.gather(*(asyncio.sleep(seconds) for _ in range(times)))
    return f"waited {times} times"


@expose.endpoint(timeout=1, concurrency=2)
def nap(seconds: float = 0.1) -> str:
    """Is ended after one second (504); a third call at the same time is not begun (429)."""
    print(f"sleeping {seconds} s")  # `plugbay logs` shows it
    time.sleep(seconds)
    return "rested"
