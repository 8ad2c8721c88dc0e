"""A worker that speaks the protocol against its rules: its runner ends, the host and later calls do not notice."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from calls.call import Outcome
from runner import connection
from tests.runner.bench import Bench
from tests.runner.test_calls import HEAD, source
from tests.waiting import until

RAW = (
    HEAD
    + """
import socket, stat, struct, array
import msgspec

def _connection():
    for name in os.listdir('/proc/self/fd'):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                return socket.socket(fileno=os.dup(int(name)))
        except OSError:
            pass

def _frame(*fields):
    body = msgspec.msgpack.encode(fields)
    return struct.pack('!I', len(body)) + body

def _result(call, outcome=0, log=b''):
    return _frame(17, call, outcome, b'"forged"', 0, (), '', log, False, False)

def _connect():
    path = _connection().getpeername()
    s = socket.socket(socket.AF_UNIX); s.connect(path)
    return s

@expose.endpoint(method='GET', API='run')
def run(what, other=''):
    c = _connection()
    if what == 'huge': c.sendall(b'\\xff\\xff\\xff\\xff')
    elif what == 'zero': c.sendall(b'\\0\\0\\0\\0')
    elif what == 'above': c.sendall(struct.pack('!I', 32 * 1024 * 1024 + 1))
    elif what == 'half': c.sendall(b'\\0\\0\\1\\0abc')
    elif what == 'other': c.sendall(_result(other))
    elif what == 'random': c.sendall(_result('f' * 32))
    elif what == 'platform': c.sendall(_result(other, outcome=8))
    elif what == 'log': c.sendall(_result(other, log=bytes(5000)))
    elif what == 'hello': c.sendall(_frame(16, bytes(16)))
    elif what == 'type': c.sendall(_frame(99, 'x'))
    elif what == 'extra': c.sendall(_frame(16, b'x', b'y'))
    elif what == 'nested': c.sendall(struct.pack('!I', 100001) + b'\\x91' * 100000 + b'\\xc0')
    elif what == 'nonce': _connect().sendall(_frame(16, bytes(16)))
    elif what == 'control': _connect().sendall(struct.pack('!B16sII', 1, bytes(16), 0, 0))
    elif what == 'tail': _connect().sendall(struct.pack('!B16sII', 1, bytes(16), 0, 2**31))
    elif what == 'close':
        c.shutdown(socket.SHUT_RDWR)
    time.sleep(1000)
"""
)


@pytest.mark.parametrize(
    "what",
    [
        *("huge", "zero", "above", "half", "random", "platform", "log", "hello", "type", "extra", "nested"),
        *("nonce", "control", "tail", "close"),
    ],
)
async def test_a_violation_ends_the_runner_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(connection, "FRAME_SECS", 0.2)
    bench.modules.put("evil", RAW)
    bench.modules.put("good", source("return 'fine'"))
    reply = await bench.call("evil", "run", what=what)
    assert reply.outcome is Outcome.DIED, reply
    assert await bench.value("good", "run") == "fine"


async def test_a_forged_answer_never_reaches_another_call(bench: Bench) -> None:
    bench.modules.put("evil", RAW)
    bench.modules.put("slow", source("time.sleep(1)\nreturn 'own'"))
    victim = bench.start("slow", "run")
    evil = await bench.call("evil", "run", what="other", other=bench.last.id)
    assert evil.outcome is Outcome.DIED
    assert b"forged" not in (await victim).payload


async def test_connections_held_open_are_bounded_and_closed(bench: Bench) -> None:
    bench.modules.put(
        "hold",
        RAW + "\n@expose.endpoint(API='hold')\ndef hold():\n"
        "    held = []\n    for _ in range(300):\n        try: held.append(_connect())\n        except OSError: break\n"
        "    closed = 0\n    for s in held:\n        s.settimeout(3)\n        try: closed += s.recv(1) == b''\n"
        "        except ConnectionResetError: closed += 1\n    return [len(held), closed]\n",
    )
    before = _descriptors()
    opened, closed = await bench.value("hold", "hold")
    assert opened == closed
    await until(lambda: _descriptors() <= before + 2)
    assert await bench.value("hold", "hold") == [opened, closed]


async def test_descriptors_sent_along_are_not_kept(bench: Bench) -> None:
    bench.modules.put(
        "send",
        RAW + "\n@expose.endpoint(API='send')\ndef send():\n"
        "    fds = array.array('i', [0] * 100)\n    s = _connection()\n"
        "    return s.sendmsg([b'\\0'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n",
    )
    before = _descriptors()
    await bench.call("send", "send")
    assert _descriptors() <= before + 2


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user, as root")
async def test_another_users_process_is_turned_away_and_harms_nobody(bench: Bench) -> None:
    bench.modules.put("who", source("return os.getppid()"))
    zygote = await bench.value("who", "run")
    [runner] = bench.host.pools()[0].runners
    address = bench.folder / runner.id / "host.sock"
    for path in (bench.folder, address.parent):
        path.chmod(0o711)
    address.chmod(0o666)
    stranger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STRANGER, str(address)), stdout=asyncio.subprocess.PIPE
    )
    # What it sends would end the runner, had it come from the runner.
    assert (await stranger.communicate())[0] == b"turned away\n"
    assert await bench.value("who", "run") == zygote


STRANGER = """
import os, socket, sys
os.setresgid(65534, 65534, 65534); os.setgroups([]); os.setresuid(65534, 65534, 65534)
host = socket.socket(socket.AF_UNIX)
host.connect(sys.argv[1])
try:
    host.sendall(bytes(8))
    told = host.recv(1)
except ConnectionError:
    told = b""
print("turned away" if not told else told, flush=True)
"""
