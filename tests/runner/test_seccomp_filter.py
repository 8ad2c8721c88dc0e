"""The compiled seccomp filters, run as the kernel runs them: they decide as images/seccomp/tenant.json says."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from runner.bubblewrap import command
from scripts import seccomp

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_VALUES = (0, 1, 2, 16, 0x5401, 0x5412, 0x541C, 0x10000000, 0x01200011, 1 << 32, (1 << 32) | 1)


def decision(program: bytes, number: int, architecture: int, arguments: tuple[int, ...]) -> int:
    """What the filter returns for a system call (seccomp(2), `struct seccomp_data`)."""
    data = struct.pack("=iIQ6Q", number, architecture, 0, *arguments)
    code = list(struct.iter_unpack("=HBBI", program))
    at, accumulator = 0, 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x05:
                at += value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x25:
                at += yes if accumulator > value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x54:
                accumulator &= value
            case 0x06:
                return int(value)
            case other:
                raise AssertionError(f"operation {other:#x}")


def cases() -> Iterator[tuple[int, tuple[int, ...]]]:
    """System calls by number, with telling values of the first two arguments."""
    for number in (*range(470), 0x40000000, 0x40000029):
        for value in _VALUES:
            yield number, (value, 0, 0, 0, 0, 0)
            yield number, (0, value, 0, 0, 0, 0)


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_that_is_kept_decides_as_the_profile_says(machine: str) -> None:
    kept = command.FILTERS.joinpath(f"tenant.{machine}.bpf").read_bytes()
    wanted, architecture = seccomp.compiled(machine), _ARCHITECTURES[machine]
    for number, arguments in cases():
        assert decision(kept, number, architecture, arguments) == decision(wanted, number, architecture, arguments)


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_another_architecture_is_killed(machine: str) -> None:
    kept = command.FILTERS.joinpath(f"tenant.{machine}.bpf").read_bytes()
    assert decision(kept, 1, 0x40000003, (0,) * 6) in (0, 0x80000000)
