"""What a tenant sees of the machine, of the platform and of others."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .kernel import libc, tried

HOST = "/run/host/host.sock"
KERNELS = ("/proc", "/sys", "/dev")
TOOLS = ("pip", "pip3", "gcc", "cc", "curl", "wget", "apt-get", "dpkg", "perl", "su", "mount", "unshare", "git")


def raised(action: Callable[..., Any], *arguments: Any) -> str:
    """The name of what it raises, or `nothing`."""
    try:
        action(*arguments)
    except Exception as error:  # noqa: BLE001  # which one is what is asked
        return type(error).__name__
    return "nothing"


def files_and_folders() -> list[str]:
    """What is open of the file system. All else that can be open leads nowhere."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            mode = os.fstat(int(name)).st_mode
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                found.append(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115
    return found


def above_descriptors() -> list[str]:
    """What came of leaving the container through an open file."""
    open_files = [name for name in os.listdir("/proc/self/fd") if tried(os.fstat, int(name)) == "done"]  # noqa: PTH208
    return sorted({tried(os.stat, f"/proc/self/fd/{name}/../../..") for name in open_files})


def mounts() -> list[list[str]]:
    """Root and point of each mount."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ")[3:5] for line in lines]


def writable() -> list[str]:
    """The mount points where a file can be made."""
    folders = {point for _, point in mounts()} | {"/dev/shm", "/"}
    return [
        point for point in sorted(folders) if Path(point).is_dir() and tried(Path(point, "planted").touch) == "done"
    ]


def foreign_mounts() -> list[str]:
    """Where a folder of the machine outside of the container is seen."""
    return sorted({point for root, point in mounts() if root != "/" and not point.startswith(KERNELS)})


def privileges() -> dict[str, Any]:
    """What it is and could become."""
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    found = []
    for folder, names in _folders_with_power():
        for name in names:
            with contextlib.suppress(OSError):
                path = Path(folder, name)
                if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID) or "security.capability" in os.listxattr(path):
                    found.append(str(path))
    return {
        "files": found,
        "setuid": tried(os.setuid, 0),
        **{name: status.get(name) for name in ("CapEff", "CapPrm", "CapBnd", "Seccomp")},
        "NoNewPrivs": libc.prctl(39, 0, 0, 0, 0),
    }


def _folders_with_power() -> Iterator[tuple[str, list[str]]]:
    """Where the kernel gives something for a file's marks, by how it is mounted; with the names of the files there."""
    points = {"/", *KERNELS, *(point for _, point in mounts())}
    for point in points:
        if point.startswith(KERNELS) or not Path(point).is_dir() or os.statvfs(point).f_flag & os.ST_NOSUID:
            continue
        for folder, below, names in os.walk(point):
            below[:] = [name for name in below if str(Path(folder, name)) not in points]
            yield folder, names


def tools() -> list[str]:
    """Programs that help whoever is in."""
    return [name for name in TOOLS if shutil.which(name)]


def left_along() -> list[str]:
    """What should not have come along with the platform's code."""
    names = {".git", ".env", ".env.local"}
    return [str(path) for path in Path("/opt/plugbay").rglob("*") if path.name in names]


def programs_hash() -> str:
    """One hash over all programs and the platform's own files."""
    whole = hashlib.sha256()
    for top in ("/usr/bin", "/usr/sbin", "/opt/plugbay"):
        for path in sorted(Path(top).rglob("*")):
            if path.is_file() and not path.is_symlink():
                whole.update(path.read_bytes())
    return whole.hexdigest()


def connects(addresses: list[tuple[str, int]]) -> list[str]:
    """What came of a connection to each."""
    return [tried(socket.create_connection, tuple(address), 1) for address in addresses]


def abstract(names: list[str]) -> list[str]:
    """What came of connecting to Unix sockets that have no file."""
    found = set()
    for name in names:
        with socket.socket(socket.AF_UNIX) as one:
            found.add(tried(one.connect, f"\0{name}"))
    return sorted(found)


def processes() -> list[str]:
    """Names of all processes that are seen."""
    names = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                names.append((entry / "comm").read_text().strip())
    return sorted(names)


def traces() -> dict[str, list[str]]:
    """Where somebody else could have left something."""
    return {folder: sorted(os.listdir(folder)) for folder in ("/run/host", "/dev/shm", "/tmp") if Path(folder).is_dir()}  # noqa: PTH208


def replaces_socket() -> list[str]:
    """Puts another listener in the place of the host's."""
    listener = socket.socket(socket.AF_UNIX)
    return [
        tried(os.unlink, HOST),
        tried(os.rename, HOST, f"{HOST}.old"),
        tried(listener.bind, "/run/host/other.sock"),
        tried(Path("/run/host/file").touch),
        tried(os.symlink, "/etc/passwd", "/run/host/link"),
    ]


def links() -> int:
    """Has a symlink to the machine's passwords in place of everything that can be written, its own folder too; how many."""
    names = [f"modules-{os.getpid()}", "results", "logs"]
    for name in names:
        folder = Path("/tmp", name)
        if folder.is_dir():
            folder.rename(f"/tmp/moved-{name}")
        if not folder.is_symlink():
            folder.symlink_to("/etc/passwd")
    return len(names)
