"""What a tenant's sandbox is made of: the arguments of bubblewrap, built here and nowhere else."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Final

import msgspec

from runner import sockets
from runner.launcher import RunnerSpec
from runner.worker import late

INSIDE: Final = "/opt/plugbay"
"""Where it finds `calls`, `expose`, `runner.worker`, `vyperlogix` and, below `site`, what they import."""
SETPRIV: Final = "/usr/bin/setpriv"
"""What changes a runner's user; the sandbox has it where this machine has."""
_PYTHON: Final = "/opt/python"
"""Where it finds a Python that is not the system's."""

_CODE: Final = Path(__file__).resolve().parents[2]
_SITE: Final = Path(msgspec.__file__).resolve().parent.parent
_IMPORTED: Final = ("msgspec", *sorted(late.PACKAGES))
FILTERS: Final = _CODE / "images" / "seccomp"
_MASKED: Final = (
    "kcore",
    "keys",
    "kallsyms",
    "config.gz",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "sysrq-trigger",
)
"""Files of /proc that tell of, or act on, the whole machine."""


def seccomp_filter() -> Path:
    """The compiled form of images/seccomp/tenant.json for this kind of machine."""
    return FILTERS / f"tenant.{platform.machine()}.bpf"


def arguments(spec: RunnerSpec, tmp: Path, seccomp: int, info: int, uid: int, program: list[str]) -> list[str]:
    """Arguments of bubblewrap for this runner. `tmp`: a file system that becomes its `/tmp`. `seccomp`, `info`:
    file descriptors of the compiled filter and of the pipe that bubblewrap reports its child to. `uid`: the
    runner's user id, another than this process's only where this is root. `program`: what runs."""
    # As root no user namespace is needed, and the runner gets none: less of the kernel to attack.
    users = ["--unshare-user", "--disable-userns", "--assert-userns-disabled"]
    own = uid != os.getuid()
    keep = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"] if own else []
    return [
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"),
        *([] if own else users),
        *("--cap-drop", "ALL", *(word for name in keep for word in ("--cap-add", name))),
        *("--new-session", "--die-with-parent", "--as-pid-1", "--hostname", "r"),
        *_files(spec, tmp),
        *_environment(),
        *("--seccomp", str(seccomp), "--info-fd", str(info), "--chdir", "/tmp", "--"),
        *(_as_user(uid) if own else []),
        *(_python(), "-I", "-S", *program),
    ]


def zygote(spec: RunnerSpec) -> list[str]:
    """The program of a runner: see runner.worker.zygote. Address space is twice the memory it may use."""
    memory = spec.memory_bytes or 2 * spec.resources.memory_bytes
    script = f"{INSIDE}/runner/worker/zygote.py"
    return [script, INSIDE, f"{INSIDE}/site", sockets.inside(spec), str(spec.max_log), str(memory)]


def _files(spec: RunnerSpec, tmp: Path) -> list[str]:
    words = ["--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/local"]
    for folder in ("/etc", "/run", "/opt", INSIDE, f"{INSIDE}/runner", f"{INSIDE}/site"):
        words += ["--perms", "0755", "--dir", folder]  # by itself it may make them for their owner alone
    for name in ("bin", "lib", "lib64"):
        top = Path("/", name)
        if top.is_symlink():
            words += ["--symlink", str(top.readlink()), str(top)]
        elif top.is_dir():
            words += ["--ro-bind", str(top), str(top)]
    if not _system_python():
        words += ["--ro-bind", sys.base_prefix, _PYTHON]
    words += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for name in ("calls", "expose", "vyperlogix", "runner/__init__.py", "runner/worker"):
        words += ["--ro-bind", str(_CODE / name), f"{INSIDE}/{name}"]
    for name in _IMPORTED:
        words += ["--ro-bind", str(_SITE / name), f"{INSIDE}/site/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for name in _MASKED:
        if Path("/proc", name).exists():
            words += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    words += ["--bind", str(tmp), "/tmp", "--ro-bind", str(spec.socket.parent), sockets.HOST_FOLDER]
    return [*words, *("--remount-ro", "/usr/local", "--remount-ro", "/dev", "--remount-ro", "/")]


def _environment() -> list[str]:
    values = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}
    if not _system_python():
        values["LD_LIBRARY_PATH"] = f"{_PYTHON}/lib"
    return ["--clearenv", *(word for name, value in values.items() for word in ("--setenv", name, value))]


def _as_user(uid: int) -> list[str]:
    ids = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    # A change of user ends what --die-with-parent arranged.
    return [SETPRIV, *ids, "--bounding-set=-all", "--inh-caps=-all", "--pdeathsig", "KILL", "--"]


def _python() -> str:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"/usr/bin/{version}" if _system_python() else f"{_PYTHON}/bin/{version}"


def _system_python() -> bool:
    return sys.base_prefix == "/usr"
