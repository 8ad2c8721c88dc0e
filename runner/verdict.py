"""What a probe must have found for tenants' code to run: every control of the hardening table that shows inside."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

import msgspec

from runner.sockets import HOST_FOLDER

_REFUSED: Final = frozenset({errno.EPERM, errno.ENOSYS})
_NO_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EPERM})
"""gVisor answers EPERM whatever number the profile names."""
_NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOENT})
"""EMFILE: no message queue may be made, which is what a file in /dev/mqueue is."""
_EXPECTED_CALLS: Final = 45
"""Forbidden calls a probe tries at least; fewer means that it was not this probe."""


class Tmp(msgspec.Struct, frozen=True, kw_only=True):
    """The one place that can be written."""

    bytes: int
    inodes: int
    """0 where they are not counted (gVisor); there its memory limit bounds them."""
    options: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """See runner.probe: errno of what was tried (0: it was done), and files as they were read."""

    calls: dict[str, int]
    sockets: dict[str, int]
    status: dict[str, str]
    no_new_privileges: int
    uids: list[int]
    written: dict[str, int]
    replaced: int
    tmp: Tmp
    limits: dict[str, int]
    memory: str | None
    swap: str | None
    swaps: str | None
    pids: str | None
    cpu: str | None
    oom_score_adj: str | None
    core_pattern: str | None
    interfaces: list[str]
    masked: dict[str, int]
    setuid: list[str]
    kernel: str


def uncontained(report: Report, uid: int, tmp_bytes: int, inodes: int) -> Iterator[str]:
    """Each control that every kind of sandbox has and this one has not in force, with its fix. `tmp_bytes` and
    `inodes` are the most that `/tmp` may hold."""
    yield from _seccomp(report)
    yield from _privileges(report, uid)
    yield from _files(report, tmp_bytes, inodes)


def _seccomp(report: Report) -> Iterator[str]:
    carried_out = [name for name, number in report.calls.items() if number not in _REFUSED]
    families = [name for name, number in report.sockets.items() if number not in _NO_FAMILY]
    if report.status.get("Seccomp") != "2" or len(report.calls) < _EXPECTED_CALLS:
        yield (
            "seccomp: no filter is in force; use an Engine and kernel with seccomp, and register runsc with --oci-seccomp"
        )
    elif carried_out or families:
        what = ", ".join([*carried_out, *(f"socket family {name}" for name in families)])
        yield f"seccomp: not refused: {what}; restore images/seccomp/tenant.json, and register runsc with --oci-seccomp"
    if report.calls.get("clone3") != errno.ENOSYS:
        yield "seccomp: clone3 must answer ENOSYS, or threads cannot start; restore images/seccomp/tenant.json"
    if [name for name in report.interfaces if name != "lo"]:
        yield f"network: the runner sees {', '.join(report.interfaces)}; register runsc with --network=none"


def _privileges(report: Report, uid: int) -> Iterator[str]:
    held = [name for name in ("CapEff", "CapPrm", "CapBnd") if int(report.status.get(name, "1"), 16)]
    if held:
        yield f"capabilities: {', '.join(held)} not empty; the runtime does not drop them: use runc or runsc"
    if report.no_new_privileges != 1:
        yield "no-new-privileges: not in force; use a current runc or runsc"
    if set(report.uids) != {uid}:
        yield f"user: the runner is {report.uids}, not {uid} alone; use an Engine without a rewriting runtime"


def _files(report: Report, tmp_bytes: int, inodes: int) -> Iterator[str]:
    beyond = [point for point, number in report.written.items() if number not in _NOT_WRITABLE and point != "/tmp"]
    if beyond:
        yield f"read-only root: {', '.join(beyond)} can be written; use runc or runsc as they come"
    if report.replaced not in _NOT_WRITABLE or HOST_FOLDER not in report.written:
        yield f"socket folder: {HOST_FOLDER} is not mounted read-only; use runc or runsc as they come"
    if report.tmp.bytes > tmp_bytes or report.tmp.inodes > inodes:
        yield "disk: /tmp is larger than its limit; the Engine must honour size and nr_inodes of a tmpfs"
    if "noexec" not in report.tmp.options:
        yield "disk: /tmp is not mounted noexec; the Engine must honour the options of a tmpfs"
    for name, most in (("nofile", 256), ("core", 0), ("memlock", 0)):
        if not 0 <= report.limits.get(name, -1) <= most:
            yield f"limits: {name} is {report.limits.get(name)}, not {most}; the Engine must honour ulimits"


def unlimited(report: Report, memory: int, pids: int) -> Iterator[str]:
    """Each limit on a whole container that is not in force, with its fix."""
    fix = "the kernel needs that cgroup controller (boot with cgroup_enable=memory swapaccount=1 if it is memory)"
    for name, text, most in (
        ("memory", report.memory, memory),
        ("swap", report.swap if _swaps(report) else "0", memory),
        ("pids", report.pids, pids),
    ):
        if text is None or not text.strip().isdecimal() or int(text) > most:
            yield f"{name}: no limit is in force; {fix}"
    if report.cpu is None or report.cpu.split()[:1] in (["max"], ["-1"]):
        yield f"cpu: no limit is in force; {fix}"


def exposed(report: Report) -> Iterator[str]:
    """What of this machine's kernel the sandbox leaves in reach, with its fix."""
    if report.oom_score_adj is None or int(report.oom_score_adj) < 500:
        yield "oom_score_adj: the kernel would not end runners first; use runc as it comes"
    if report.core_pattern is None or report.core_pattern.startswith("|"):
        yield (
            "core dumps: kernel.core_pattern starts a program of the host whenever tenants' code crashes; "
            "run: sysctl -w kernel.core_pattern=core (and put it into /etc/sysctl.d)"
        )
    readable = [path for path, size in report.masked.items() if size]
    if readable:
        yield f"masked paths: {', '.join(readable)} can be read; use runc as it comes"


def _swaps(report: Report) -> bool:
    """Whether this machine swaps at all: /proc/swaps has a line of headings, then one for each device."""
    return report.swaps is None or len(report.swaps.splitlines()) > 1
