"""Section A of the security requirements in sandboxes: out of the sandbox, and onto the machine."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.sandboxes.alive import Attacker
from tests.attacks.sandboxes.rows import ON_X86_64, Row, either, ends, only, table, value
from tests.attacks.sandboxes.tenancy import NEIGHBOUR
from tests.embedded.server import ROOT

pytestmark = ON_X86_64

# mov eax,102 (socketcall); mov ebx,1 (socket); xor ecx,ecx; int 0x80; ret
SOCKETCALL = "b866000000bb0100000031c9cd80c3"
# mov eax,0x40000029 (x32 socket); mov edi,38 (AF_ALG); mov esi,5; xor edx,edx; syscall; ret
X32_SOCKET = "b829000040bf26000000be0500000031d20f05c3"

ENDED = either(ends(502, "signal 31 (SIGSYS)"), ends(504, "time limit of 0.5 s reached"))
MOUNTING = "mount umount2 pivot_root chroot fsopen fsmount open_tree move_mount mount_setattr"
KERNEL_FILES = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory/release_agent",
    "/sys/fs/cgroup/release_agent",
)
KERNEL_ADDRESSES = (
    "sorted({line.split()[0] for line in Path('/proc/kallsyms').read_text().splitlines()}) "
    "if Path('/proc/kallsyms').exists() else []"
)
OWN_CODE = (
    "/opt/python",
    *(f"/opt/plugbay/{name}" for name in ("calls", "expose", "vyperlogix", "runner/__init__.py", "runner/worker")),
    *(f"/opt/plugbay/site/{name}" for name in ("msgspec", "pyotp")),
)
SECRET_FILES = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug")


@table(
    Row(
        "A1",
        'reads(["/etc/shadow", "/root/.ssh/id_rsa", "/run/secrets/key", "/host/etc/passwd"])',
        only("EACCES", "ENOENT"),
    ),
    # gVisor protects a process's memory, and not the names of what it has: those tell nothing that is not a worker's own.
    Row("A2", "zygote()", value(["EACCES"] * 4), value(["done", "done", "done", "EACCES"])),
    Row("A2", "zygote_tells()", value([])),
    Row("A3", 'writes(["/proc/self/exe", "/proc/1/exe"])', only("EROFS", "EACCES", "ETXTBSY")),
    Row("A4", "[files_and_folders(), above_descriptors(), os.getcwd()]", value([[], ["ENOTDIR"], "/tmp"])),
    Row(
        "A6", '[writable(), tried(Path("/run/host/x").touch)]', value([["/tmp"], "EROFS"]), value([["/tmp"], "EACCES"])
    ),
    Row("A7", "programs()", value(["EACCES", "EPERM"])),
    Row("A8", f'[called(name, 0, 0, 0, 0, 0) for name in "{MOUNTING}".split()]', value(["EPERM"] * 9)),
    Row(
        "A9",
        '[called("unshare", NEW_USER), called("setns", -1, 0), called("clone", NEW_USER | 17, 0, 0, 0, 0), '
        'called("clone3", 0, 0)]',
        value(["EPERM", "EPERM", "EPERM", "ENOSYS"]),
    ),
    Row(
        "A11",
        '[called("io_uring_setup", 0, 0), called("userfaultfd", -1), called("keyctl", -1, 0, 0, 0, 0), '
        'called("add_key", 0, 0, 0, 0, 0), called("request_key", 0, 0, 0, 0), called("bpf", -1, 0, 0), '
        'called("perf_event_open", 0, 0, -1, -1, 0)]',
        value(["EPERM"] * 7),
    ),
    # The kernel ends the thread that calls, and with its only one a process. gVisor refuses the call instead.
    Row("A12", f'machine_code_in_child("{SOCKETCALL}")', value("SIGSYS"), value("1")),
    Row("A12", f'machine_code_in_child("{X32_SOCKET}")', value("SIGSYS"), value("1")),
    Row("A12", f'machine_code("{SOCKETCALL}")', ENDED, value("EPERM"), api="short"),
    Row("A12", f'machine_code("{X32_SOCKET}")', ENDED, value("EPERM"), api="short"),
    Row(
        "A13",
        '[tried(socket.socket, 38, 5), called("splice", -1, 0, -1, 0, 1, 0), called("vmsplice", -1, 0, 0, 0), '
        'called("tee", -1, -1, 1, 0)]',
        value(["EAFNOSUPPORT", "EPERM", "EPERM", "EPERM"]),
    ),
    Row(
        "A14",
        "privileges()",
        value(
            {
                "files": [],
                "setuid": "EPERM",
                **dict.fromkeys(("CapEff", "CapPrm", "CapBnd"), "0" * 16),
                "Seccomp": "2",
                "NoNewPrivs": 1,
            }
        ),
    ),
    Row(
        "A16",
        '[called("open_by_handle_at", -1, 0, 0), called("name_to_handle_at", -1, 0, 0, 0, 0)]',
        value(["EPERM", "EPERM"]),
    ),
    Row("A17", f"writes({KERNEL_FILES})", only("EROFS", "EACCES", "ENOENT")),
    Row("A18", f"reads({SECRET_FILES})", only("empty", "EACCES", "ENOENT")),
    Row("A18", KERNEL_ADDRESSES, either(value([]), value(["0" * 16])), bubblewrap=ends(500, "PermissionError")),
    Row("A18", 'reads(map(str, Path("/sys/class/powercap").glob("*/energy_uj")))', only("empty", "EACCES", "ENOENT")),
    Row("A18", '[str(path) for path in Path("/sys/firmware").glob("*")]', value([])),
    Row(
        "A19",
        '[tried(os.mkdir, "/sys/fs/cgroup/x"), tried(os.mkdir, "/sys/fs/cgroup/memory/x"), '
        'tried(write, "/sys/fs/cgroup/cgroup.procs"), tried(write, "/sys/fs/cgroup/pids/cgroup.procs")]',
        only("EROFS", "EACCES", "ENOENT"),
    ),
    Row("A28", "families(socket.SOCK_RAW) + families(socket.SOCK_SEQPACKET)", only("EAFNOSUPPORT")),
    # Under bubblewrap the machine's own programs are there, and what they could do is not.
    Row("A29", "tools()", value([]), bubblewrap=ends(200)),
    Row("A29", "left_along()", value([])),
    Row(
        "A29",
        "foreign_mounts()",
        only("/run/host", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
        bubblewrap=only("/", "/run/host", "/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", *OWN_CODE),
    ),
)
def test_there_is_no_way_out(attacker: Attacker, row: Row) -> None:
    row.run(attacker)


def test_a13_nobody_changes_what_others_run(attacker: Attacker) -> None:
    before = attacker.value("programs_hash()", owner=NEIGHBOUR)
    assert attacker.value('writes(["/usr/bin/python3", "/usr/bin/env", "/proc/self/exe"])') != ["done"] * 3
    assert attacker.value("programs_hash()", owner=NEIGHBOUR) == before


def test_a24_nothing_of_the_platform_is_to_be_read(attacker: Attacker) -> None:
    theirs = [
        ROOT / "settings.py",
        attacker.stack.plugins / "ping.py",
        Path.home() / ".bashrc",
        "/proc/1/root/etc/shadow",
    ]
    assert set(attacker.value("reads(given)", [str(path) for path in theirs])) <= {"ENOENT", "EACCES"}


def test_a21_a_symlink_leads_the_host_nowhere(attacker: Attacker) -> None:
    owner = attacker.fresh()
    assert attacker.value("links()", owner=owner) == 3
    for _ in range(3):  # workers end and their folders, or what stands there now, are removed
        assert attacker.do("os._exit(3)", owner=owner).status_code == 502
        attacker.value("links()", owner=owner)
    folder = attacker.stack.socket_folder(attacker.runner(owner))
    assert [path.name for path in folder.iterdir()] == ["host.sock"]


def test_a22_c22_crashes_leave_nothing_on_the_machine(attacker: Attacker) -> None:
    runner = attacker.runner()
    for _ in range(25):
        for crash in [attacker.start("segfault()") for _ in range(4)]:
            answer = crash.result()
            assert (answer.status_code, "signal 11 (SIGSEGV)" in answer.text) == (502, True), answer.text
    assert attacker.runner() == runner  # a crash costs a process, and nothing of the Engine's time
    assert attacker.value('[str(path) for path in Path("/tmp").rglob("*core*")]') == []
