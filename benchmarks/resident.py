"""What a process holds in memory, as the kernel counts it (proc_pid_smaps(5))."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

from benchmarks.load import Invalid

PSS: Final = "proportional set size (PSS, shared pages divided among those who share them)"


def called(process: psutil.Process) -> str:
    """The program, and the name that the process gave itself."""
    script = next((Path(part).name for part in process.cmdline()[1:] if not part.startswith("-")), "")
    return f"{process.name()} {script}".strip()


def pss_mib(process: psutil.Process) -> float:
    """MiB. Raises Invalid when it may not be read."""
    try:
        # Not psutil's: it reads the whole table of mappings, which is slow, for the same sum.
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except PermissionError as error:
        raise Invalid("the memory of the runner's processes can only be read by root") from error
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
