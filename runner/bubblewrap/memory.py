"""How much memory processes hold, as /proc shows it (proc(5)), where no control group counts."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

_SHARED: Final = b"/dev/zero (deleted)"
"""What stands in /proc for memory without a file that processes can share."""
_BLOCK: Final = 512
"""Bytes of a block of stat(2)."""
_PRIVATE: Final = (b"Pss_Anon:", b"SwapPss:")
_HIDDEN: Final = (b"Shmem:", b"SwapTotal:")


def hidden() -> int:
    """The most that processes of this machine may hold all together without its being among their pages: shared memory
    stays taken where nobody shows it any more, and what was swapped out is not in RAM."""
    lines = (line.split() for line in Path("/proc/meminfo").read_bytes().splitlines())
    kilobytes = {name: int(number) for name, number, *_ in lines}
    return 1024 * (sum(kilobytes.get(name, 0) for name in _HIDDEN) - kilobytes.get(b"SwapFree:", 0))


def held(processes: list[int], enough: int = 0, besides: int = 0) -> int:
    """Bytes of memory that these processes hold together, what they share counted once. An upper bound will do
    where it is below `enough`, because it is much cheaper to have. `besides`: what `hidden` says."""
    pages = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended
            _, present, of_files, *_ = Path(f"/proc/{process}/statm").read_bytes().split()
            pages += int(present) - int(of_files)
    most = pages * resource.getpagesize() + besides
    if most < enough:
        return most
    shared: dict[bytes, int] = {}
    for process in processes:
        _share(process, shared)
    return sum(map(_private, processes)) + sum(shared.values())


def _private(process: int) -> int:
    """Bytes of its own, in RAM and swapped out; those that it has in common with what forked it divided among them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_bytes().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_PRIVATE))


def _share(process: int, found: dict[bytes, int]) -> None:
    """Adds blocks of memory that it shares or could share, each with its bytes."""
    with contextlib.suppress(OSError):  # it has ended
        for line in Path(f"/proc/{process}/maps").read_bytes().splitlines():
            if line.endswith(_SHARED):
                place, _, _, _, inode, *_ = line.split()
                found[inode] = max(found.get(inode, 0), _size(process, place.decode()))


def _size(process: int, place: str) -> int:
    """Bytes of the whole block of which a process has a part here. Who may not ask for that gets the part's."""
    try:
        return os.stat(f"/proc/{process}/map_files/{place}").st_blocks * _BLOCK  # noqa: PTH116
    except OSError:
        start, end = (int(address, 16) for address in place.split("-"))
        return end - start
