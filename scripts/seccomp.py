"""Compiles images/seccomp/tenant.json for bubblewrap, into tenant.<machine>.bpf beside it. Needs libseccomp.

Docker and gVisor read the JSON themselves; bubblewrap takes a program for the kernel. It is kept compiled, so
that a machine that runs Plugbay needs neither a compiler nor libseccomp. A test holds it against the JSON.
"""

from __future__ import annotations

import errno
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import pyseccomp

PROFILE: Final = Path(__file__).resolve().parents[1] / "images" / "seccomp" / "tenant.json"
MACHINES: Final = {"x86_64": pyseccomp.Arch.X86_64, "aarch64": pyseccomp.Arch.AARCH64}
_COMPARE: Final = {
    "SCMP_CMP_EQ": pyseccomp.EQ,
    "SCMP_CMP_NE": pyseccomp.NE,
    "SCMP_CMP_MASKED_EQ": pyseccomp.MASKED_EQ,
}


def compiled(machine: str) -> bytes:
    """The filter for this machine."""
    profile = json.loads(PROFILE.read_text("utf-8"))
    made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(profile["defaultErrnoRet"]))
    if MACHINES[machine] != pyseccomp.system_arch():
        made.add_arch(MACHINES[machine])
        made.remove_arch(pyseccomp.system_arch())
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            made.add_rule(_action(rule), name, *(_argument(one) for one in rule.get("args", ())))
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def _action(rule: dict[str, Any]) -> int:
    match rule["action"]:
        case "SCMP_ACT_ALLOW":
            return int(pyseccomp.ALLOW)
        case "SCMP_ACT_ERRNO":
            return int(pyseccomp.ERRNO(rule["errnoRet"]))
        case "SCMP_ACT_TRACE":  # without a tracer the kernel answers this
            return int(pyseccomp.ERRNO(errno.ENOSYS))
        case other:
            raise ValueError(f"{PROFILE}: action {other} is not known here")


def _argument(rule: dict[str, Any]) -> pyseccomp.Arg:
    more = (rule["valueTwo"],) if rule["op"] == "SCMP_CMP_MASKED_EQ" else ()
    return pyseccomp.Arg(rule["index"], _COMPARE[rule["op"]], rule["value"], *more)


if __name__ == "__main__":
    for machine in MACHINES:
        PROFILE.with_name(f"tenant.{machine}.bpf").write_bytes(compiled(machine))
