"""What a tenant might try: each function answers what came of it, by the names of errnos."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import shutil
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import expose

_libc = ctypes.CDLL(None, use_errno=True)
_SOCKET = "/run/host/host.sock"


def _tried(action: Callable[..., object], *arguments: Any) -> str:
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _call(number: int, *arguments: int) -> str:
    ctypes.set_errno(0)
    result = _libc.syscall(*(ctypes.c_long(value) for value in (number, *arguments)))
    return errno.errorcode[ctypes.get_errno()] if result == -1 else f"done: {result}"


@expose.endpoint(method="GET")
def ping() -> dict[str, int]:
    """A neighbour's everyday call."""
    return {"uid": os.getuid(), "parent": os.getppid()}


@expose.endpoint(method="GET")
def zygote() -> dict[str, str]:
    """A2: reads and writes what is the zygote's."""
    return {
        "environ": _tried(Path("/proc/1/environ").read_bytes),
        "maps": _tried(Path("/proc/1/maps").read_bytes),
        "fd": _tried(os.listdir, "/proc/1/fd"),
        "mem": _tried(Path("/proc/1/mem").open, "r+b"),
    }


@expose.endpoint(method="GET")
def zygote_seen() -> dict[str, Any]:
    """A2 where names can be seen: whether the zygote's environment, and where its libraries lie, tell what is not
    the worker's own as well, and what comes of opening each file that it has open. (Where the rest lies follows
    from that, and changes in both as they run.)"""
    own, others = (set(Path(f"/proc/{name}/maps").read_text().splitlines()) for name in ("self", "1"))
    return {
        "environ": dict(part.split("=", 1) for part in Path("/proc/1/environ").read_text().split("\0") if part),
        "addresses": [line for line in others - own if "/" in line and not line.endswith("(deleted)")],
        "files": {
            str(path.readlink()): _tried(os.open, path, os.O_WRONLY | os.O_NONBLOCK)
            for path in Path("/proc/1/fd").iterdir()
        },
    }


@expose.endpoint(method="GET")
def mounts() -> list[str]:
    """A6: makes a file at every mount point; where that goes."""
    points = {line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    folders = sorted(point for point in points | {"/dev/shm"} if Path(point).is_dir())
    return [point for point in folders if _tried(Path(point, "planted").touch) == "done"]


@expose.endpoint(method="GET")
def execute() -> dict[str, str]:
    """A7: runs a program that was written here."""
    copy = Path("/tmp/program")
    shutil.copyfile("/bin/true", copy)
    copy.chmod(0o755)
    return {"tmp": _tried(os.posix_spawn, str(copy), [str(copy)], {}), "memfd": _tried(os.memfd_create, "program")}


@expose.endpoint(method="GET")
def namespaces() -> dict[str, str]:
    """A9: wants namespaces of its own."""
    return {
        "unshare": _call(272, 0x10000000),
        "setns": _call(308, -1, 0),
        "clone": _call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": _call(435, 0, 0),
    }


@expose.endpoint(method="GET")
def kernel_doors() -> dict[str, str]:
    """A11 and A13: calls that kernel bugs have come through."""
    return {
        "io_uring_setup": _call(425, 0, 0),
        "userfaultfd": _call(323, -1),
        "keyctl": _call(250, -1, 0, 0, 0, 0),
        "add_key": _call(248, 0, 0, 0, 0, 0),
        "request_key": _call(249, 0, 0, 0, 0),
        "bpf": _call(321, -1, 0, 0),
        "perf_event_open": _call(298, 0, 0, -1, -1, 0),
        "splice": _call(275, -1, 0, -1, 0, 1, 0),
        "vmsplice": _call(278, -1, 0, 0, 0),
        "tee": _call(276, -1, -1, 1, 0),
    }


@expose.endpoint(method="GET")
def other_calls() -> dict[str, str]:
    """A12: the 32-bit and x32 system calls, by machine code in a child: what it died of, or was answered."""
    # mov eax,102 (socketcall); mov ebx,1; xor ecx,ecx; int 0x80; ret   |   mov eax,0x40000029 (x32 socket); …
    compat = bytes.fromhex("b866000000bb0100000031c9cd80c3")
    x32 = bytes.fromhex("b829000040bf01000000be0200000031d20f05c3")
    return {"int 0x80": _run_code(compat), "x32": _run_code(x32)}


def _run_code(code: bytes) -> str:
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    child = os.fork()
    if not child:
        os._exit(-function() & 0x7F)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return errno.errorcode.get(os.WEXITSTATUS(status), "done")


@expose.endpoint(method="GET")
def privileges() -> dict[str, Any]:
    """A14: what it is and could become."""
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    found = []
    for folder, below, names in os.walk("/"):
        if folder == "/":
            below[:] = set(below) - {"proc", "sys", "dev"}
        for name in names:
            with contextlib.suppress(OSError):
                path = Path(folder, name)
                if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID):
                    found.append(str(path))
    return {
        "setuid files": found,
        "setuid": _tried(os.setuid, 0),
        "status": {name: status.get(name) for name in ("CapEff", "CapPrm", "CapBnd", "Seccomp")},
        "no new privileges": _libc.prctl(39, 0, 0, 0, 0),
    }


@expose.endpoint(method="GET")
def connect() -> list[str]:
    """B1: every address it has heard of."""
    addresses = ("127.0.0.1", "169.254.169.254", "172.17.0.1", "::1")
    return [_tried(socket.create_connection, (address, 80)) for address in addresses]


@expose.endpoint(method="GET")
def families() -> list[str]:
    """B3 and A28: every family of sockets but AF_UNIX."""
    return sorted({_call(41, family, socket.SOCK_RAW, 0) for family in range(46) if family != socket.AF_UNIX})


@expose.endpoint(method="GET")
def forks() -> str:
    """C6: as many processes as it can have."""
    while True:
        try:
            child = os.fork()
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        if not child:
            time.sleep(1000)


@expose.endpoint(method="GET")
def bomb() -> None:
    """C6: every process makes more of them."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()


@expose.endpoint(method="GET")
def limits_of_others() -> dict[str, str]:
    """C13 and C14: takes the zygote's means away."""
    return {
        "cpu": _tried(resource.prlimit, 1, resource.RLIMIT_CPU, (1, 1)),
        "nofile": _tried(resource.prlimit, 1, resource.RLIMIT_NOFILE, (3, 3)),
        "scheduler": _tried(os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0)),
        "affinity": _tried(os.sched_setaffinity, 1, {0}),
    }


@expose.endpoint(method="GET")
def die() -> None:
    """Ends its worker."""
    os._exit(3)


@expose.endpoint(method="GET")
def oom_scores() -> list[int]:
    """How soon the kernel would end this worker, and its zygote."""
    return [int(Path(f"/proc/{name}/oom_score_adj").read_text()) for name in ("self", "1")]


@expose.endpoint(method="GET")
def suicide() -> None:
    """Ends its worker as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)


@expose.endpoint(method="GET")
def inodes() -> tuple[str, int]:
    """C17: as many files as there may be."""
    folder = Path("/tmp/many")
    folder.mkdir()
    made = 0
    try:
        while True:
            Path(folder, str(made)).touch()
            made += 1
    except OSError as error:
        return errno.errorcode[error.errno or 0], made
    finally:
        shutil.rmtree(folder)


@expose.endpoint(method="GET")
def room() -> tuple[str, int]:
    """C4 and C18: as many bytes as there may be."""
    path = Path("/tmp/large")
    try:
        with path.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError as error:
        return errno.errorcode[error.errno or 0], path.stat().st_size
    finally:
        path.unlink()


@expose.endpoint(method="GET")
def memory() -> int:
    """C3: more memory than there is."""
    return len(b"x" * (1 << 30))


@expose.endpoint(method="GET")
def host_socket() -> dict[str, str]:
    """D24: puts another listener in the place of the host's."""
    listener = socket.socket(socket.AF_UNIX)
    return {
        "unlink": _tried(os.unlink, _SOCKET),
        "rename": _tried(os.rename, _SOCKET, f"{_SOCKET}.old"),
        "bind": _tried(listener.bind, "/run/host/other.sock"),
        "create": _tried(Path("/run/host/file").touch),
        "symlink": _tried(os.symlink, "/etc/passwd", "/run/host/link"),
        "chmod": _tried(os.chmod, _SOCKET, 0o777),
    }


@expose.endpoint(method="GET")
def tools() -> list[str]:
    """A29 and J16: programs that help whoever is in."""
    names = ("pip", "pip3", "gcc", "cc", "curl", "wget", "apt-get", "dpkg", "perl", "su", "mount", "unshare", "git")
    return [name for name in names if shutil.which(name)]


@expose.endpoint(method="GET")
def openssl() -> list[str]:
    """What of it is there before a function asks for it."""
    return sorted({"ssl", "_ssl", "_hashlib"} & sys.modules.keys())


@expose.endpoint(method="GET")
def second_factor() -> list[Any]:
    """The vector of RFC 4226 for the first step, another code, and where the SDK has its package from."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    known = [expose.totp(secret, code, now=59) for code in ("287082", "287083")]
    return [*known, sys.modules["pyotp"].__file__]


@expose.endpoint(method="GET")
def preloaded() -> dict[str, Any]:
    """What is imported from the image's one file is as any other module."""
    import importlib
    import inspect
    import json

    kind = type(json.__spec__.loader)
    return {
        "loader": f"{kind.__module__}.{kind.__name__}",
        "source": inspect.getsource(json.dumps).partition("(")[0],
        "reloaded": importlib.reload(json).dumps("again"),
    }


@expose.endpoint(method="GET")
def everyday() -> dict[str, Any]:
    """What ordinary functions do, which no control may break."""
    import asyncio
    import sqlite3
    import ssl
    import subprocess
    import tempfile
    import threading

    seen: list[str] = []
    thread = threading.Thread(target=seen.append, args=("thread",))
    thread.start()
    thread.join()
    done = subprocess.run(["echo", "process"], capture_output=True, text=True, check=True)
    seen.append(done.stdout.strip())

    async def pipe() -> None:
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        seen.append((await process.communicate(b"pipe"))[0].decode())

    asyncio.run(pipe())
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("file")
        file.seek(0)
        seen.append(file.read())
        shutil.copy2(file.name, f"{file.name}.copy")
        Path(f"{file.name}.copy").unlink()
    with contextlib.closing(sqlite3.connect("/tmp/base.db")) as base:
        seen.append(base.execute("select 'sqlite'").fetchone()[0])
    ssl.create_default_context()
    one, other = socket.socketpair()
    one.sendall(b"socket")
    seen.append(other.recv(6).decode())
    return {"seen": seen, "environment": sorted(os.environ)}
