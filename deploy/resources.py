"""What the process asks of its system before it serves."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

from settings import Settings

LARGE_BLOCK: Final = 256 * 1024
"""Bytes from which memory goes back to the system as soon as it is free."""
OWN_FILES: Final = 400
"""Open files besides clients' connections and runners: store, watched folders, logs, connections being refused."""
WORKER_FILES: Final = 2
RUNNER_FILES: Final = 8
"""Open files for each worker, and for each runner besides them."""

_M_MMAP_THRESHOLD: Final = -3


def give_back_large_blocks() -> None:
    """Bodies and results leave no trace in the size of the process. Left alone, glibc raises its threshold
    to the largest block that was ever freed, and from then on keeps twice as much."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # not every C library has it, or the problem
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def runners_files(settings: Settings) -> int:
    """Files that a runner host opens at most for its runners."""
    return settings.MAX_RUNNERS * (RUNNER_FILES + WORKER_FILES * settings.RUNNER_WORKERS)


def fit_connections(settings: Settings, others: int) -> Settings:
    """The settings with as many clients' connections as fit beside `others` open files; says so when these are
    fewer. Raises the process's limit on open files as far as that takes.

    Without room left, a thousand idle connections would keep the platform from starting workers.
    """
    wanted = settings.MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + others
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    fitting = wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - others))
    if fitting < wanted:
        print(
            f"plugbay: MAX_CONNECTIONS: {fitting} and not {wanted}, "
            "because this process may not open more files: raise its limit (ulimit -Hn)",
            file=sys.stderr,
        )
    return settings.model_copy(update={"MAX_CONNECTIONS": fitting})
