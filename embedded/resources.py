"""What the process asks of its system before it serves."""

from __future__ import annotations

import ctypes
import resource
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


def other_files(settings: Settings) -> int:
    """Files that the platform opens at most, besides clients' connections."""
    return OWN_FILES + settings.MAX_RUNNERS * (RUNNER_FILES + WORKER_FILES * settings.RUNNER_WORKERS)


def room_for_connections(wanted: int, others: int) -> int:
    """How many clients' connections fit beside `others` open files: `wanted`, where the system allows it.

    Raises the process's limit on open files as far as that takes. Without room left, a thousand idle
    connections would keep the platform from starting workers.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + others
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - others))
