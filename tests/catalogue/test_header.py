"""Module headers, read by the real child process from sources that mean well and from ones that do not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from catalogue.header import Header, HeaderReader

ID = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
OTHER = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"


@pytest.fixture
async def headers() -> AsyncIterator[HeaderReader]:
    reader = HeaderReader()
    yield reader
    await reader.close()


def child(headers: HeaderReader) -> psutil.Process | None:
    """The process that parses, if there is one now."""
    started = headers._child
    return None if started is None or started.returncode is not None else psutil.Process(started.pid)


@pytest.mark.parametrize(
    ("source", "owner", "alias"),
    [
        ("", None, None),
        ("x = 1\n", None, None),
        (f'__ID__ = "{ID}"\n__alias__ = "v1"\n', ID, "v1"),
        (f"'''Doc.'''\nimport os\n__ID__ = '{ID}'  # mine\n", ID, None),
        ('__alias__ = "A-b_9"\n', None, "A-b_9"),
        (f'__ID__ = (\n    "{ID[:8]}"\n    "{ID[8:]}"\n)\n', ID, None),
        (f'\ufeff__ID__ = "{ID}"\n', ID, None),
        (f'# -*- coding: utf-8 -*-\n__ID__ = "{ID}"\n', ID, None),
        (f'#!/usr/bin/python\n# vim: set fileencoding=UTF8 :\n__ID__ = "{ID}"\n', ID, None),
        (f'x = "+AAo-__ID__ +AD0"\n__ID__ = "{ID}"\n', ID, None),
        (f'__ＩＤ__ = "{ID}"\n__ａｌｉａｓ__ = "v1"\n', ID, "v1"),
        ("def f():\n    __ID__ = 1\nclass C:\n    __ID__ = 2\n", None, None),
        ('print(__ID__)\n"__ID__"\n', None, None),
        ("# the name __ID__ in a comment\n" + 'x = "ünïcode ☃"\n', None, None),
        (f'globals()["__ID__"] = "{OTHER}"\n__ID__ = "{ID}"\n', ID, None),
    ],
)
async def test_only_one_literal_at_the_top_level_counts(
    headers: HeaderReader, source: str, owner: str | None, alias: str | None
) -> None:
    assert await headers.read(source.encode()) == Header(owner=owner, alias=alias)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (f'x = 1\n__ID__ = "{ID[:8]}" + "{ID[8:]}"\n', 2),
        (f'a = "{ID}"\n__ID__ = f"{{a}}"\n', 2),
        (f'__ID__ = "{ID}"\n__ID__ = "{ID}"\n', 2),
        (f'__ID__ = "{ID}"\n\nif True:\n    __ID__ = "{OTHER}"\n', 4),
        (f'if True:\n    __ID__ = "{ID}"\n', 2),
        (f'try:\n    __ID__ = "{ID}"\nfinally:\n    pass\n', 2),
        (f'with open("x") as __ID__:\n    pass\n__ID__ = "{ID}"\n', 3),
        (f'__ID__: str = "{ID}"\n', 1),
        ("__ID__: str\n", 1),
        (f'__ID__ = b"{ID}"\n', 1),
        (f'a = __ID__ = "{ID}"\n', 1),
        (f'__ID__, b = "{ID}", 2\n', 1),
        (f'(__ID__ := "{ID}")\n', 1),
        (f'[__ID__ := "{ID}" for x in (1,)]\n', 1),
        (f'__ID__ = "{ID}"\n__ID__ += ""\n', 2),
        (f'__ID__ = "{ID}"\ndel __ID__\n', 2),
        (f'for __ID__ in ("{ID}",): pass\n', 1),
        ("import os as __ID__\n", 1),
        ("from os import __ID__\n", 1),
        ("def __ID__(): pass\n", 1),
        ("class __ID__: pass\n", 1),
        ("match 1:\n    case __ID__: pass\n", 2),
        ("try: pass\nexcept Exception as __ID__: pass\n", 2),
        (f'__ID__ = "{ID}"\n__ＩＤ__ = "{OTHER}"\n', 2),
    ],
)
async def test_anything_else_that_binds_the_name_is_a_problem(headers: HeaderReader, source: str, line: int) -> None:
    for name in ("__ID__", "__alias__"):
        if name == "__alias__" and "Ｉ" in source:
            continue
        header = await headers.read(source.replace("__ID__", name).encode())
        assert (header.owner, header.alias) == (None, None)
        assert name in header.problem
        assert header.line == line


@pytest.mark.parametrize(
    "owner",
    [
        ID.upper(),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID.replace("-", ""),
        f"{ID} ",
        f"{ID}\\n",
        "",
        "admin",
        "../x",
        ID.replace("4", "４"),
        "x" * 100_000,
        "\\ud800",
    ],
)
async def test_an_id_is_a_uuid_in_canonical_form(headers: HeaderReader, owner: str) -> None:
    header = await headers.read(f'__ID__ = "{owner}"\n'.encode())
    assert header.owner is None
    assert "not a UUID" in header.problem
    assert len(header.problem) < 600


@pytest.mark.parametrize("alias", ["", "1x", "_x", "a/b", "a.b", "a b", "ä", "x" * 64, "a\\n", "__dir__", "\\ud800"])
async def test_an_alias_can_stand_in_a_path(headers: HeaderReader, alias: str) -> None:
    header = await headers.read(f'__alias__ = "{alias}"\n'.encode())
    assert header.alias is None
    assert "__alias__" in header.problem


@pytest.mark.parametrize(
    ("source", "problem", "line"),
    [
        (b"x = 1\nx = (\n", "SyntaxError: '(' was never closed, line 2", 2),
        (b"def f(:\n    pass\n", "SyntaxError", 1),
        (b"if x:\n\tpass\n        pass\n", "line 3", 3),
        (b"x = 1\n\xe9 = 2\n", "not UTF-8", 2),
        ("x = 'é'\n".encode("latin-1"), "not UTF-8", 1),
        ("x = 1\n".encode("utf-16"), "NUL", 1),
        (b"\xff\xfe", "not UTF-8", 1),
        (b"x = 1\n\n\0y = 2\n", "NUL", 3),
        (b"x = 1\n\fy = 2\n", "form feed", 2),
        (b"# coding: utf-7\n# +AAo-__ID__ +AD0 +ACI-B+ACI-\n", "utf-7", 1),
        (b"#!/x\n# -*- coding: rot13 -*-\n", "rot13", 2),
        (b"# coding=latin-1\n", "latin-1", 1),
        (b"#!/x\r# coding: utf-7\r", "utf-7", 2),
        (b"\xef\xbb\xbf# coding: latin-1\n", "latin-1", 1),
        (b"# coding: utf-8 coding: utf-7\n", "utf-7", 1),
        (b"x = " + b"9" * 100_000 + b"\n", "line 1", 1),
    ],
)
async def test_what_cannot_be_read_in_one_way_only_is_a_problem(
    headers: HeaderReader, source: bytes, problem: str, line: int
) -> None:
    header = await headers.read(source)
    assert problem in header.problem
    assert header.line == line


MIB = 1024 * 1024


@pytest.mark.parametrize(
    "source",
    [
        b"a=[" + b"[]," * (MIB // 3) + b"]",
        b"x=" + b"not " * 100_000 + b"1",
        b"x=a" + b".a" * 100_000,
        b"(" * 100_000,
        b"x=" + b"-" * 100_000 + b"1",
        b"x=" + b"1+" * 100_000 + b"1",
        b"if 1:\n" + b"".join(b" " * depth + b"if 1:\n" for depth in range(1, 200)),
        b"x='''" + b"{" * 100_000,
        b"x=f'" + b"{(" * 300 + b")}" * 300 + b"'",
        b"lambda:" * 50_000 + b"1",
    ],
    ids=["lists", "nots", "attributes", "parentheses", "minus", "sums", "ifs", "string", "f-string", "lambdas"],
)
async def test_source_made_to_exhaust_its_reader_hurts_nobody(headers: HeaderReader, source: bytes) -> None:
    before = psutil.Process().memory_info().rss
    header = await headers.read(source)
    assert header.problem
    assert psutil.Process().memory_info().rss - before < 64 * MIB
    assert await headers.read(f'__ID__ = "{ID}"\n'.encode()) == Header(owner=ID)


async def test_memory_that_parsing_took_is_given_back(headers: HeaderReader) -> None:
    assert await headers.read(b"x = 1\n") == Header()
    assert await headers.read(b"a=[" + b"[]," * (MIB // 12) + b"]") == Header()
    left = child(headers)
    assert left is None or left.memory_info().rss <= 128 * MIB


async def test_a_child_is_kept_however_much_memory_the_one_that_started_it_holds(headers: HeaderReader) -> None:
    held = b"x" * (200 * MIB)
    assert await headers.read(b"x = 1\n") == Header()
    first = child(headers)
    assert first is not None
    assert await headers.read(b"x = 2\n") == Header()
    assert child(headers) == first
    assert len(held) == 200 * MIB


async def test_a_child_that_was_killed_is_replaced(headers: HeaderReader) -> None:
    assert await headers.read(b"x = 1\n") == Header()
    first = child(headers)
    assert first is not None
    first.kill()
    assert await headers.read(b'__alias__ = "v1"\n') == Header(alias="v1")
    assert child(headers) not in (None, first)


async def test_a_source_that_takes_too_long_is_given_up() -> None:
    headers = HeaderReader(seconds=0.5)
    assert await headers.read(b"x = 1\n") == Header()
    stopped = child(headers)
    assert stopped is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    assert "longer than 0.5 s" in (await headers.read(b"x = 1\n")).problem
    assert not stopped.is_running()
    assert await headers.read(b"x = 1\n") == Header()
    await headers.close()


async def test_an_answer_that_nobody_waits_for_is_not_given_to_another(headers: HeaderReader) -> None:
    assert await headers.read(b"x = 1\n") == Header()
    given_up = asyncio.create_task(headers.read(b'__alias__ = "first"\n'))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await headers.read(b'__alias__ = "second"\n') == Header(alias="second")


async def test_sources_read_at_the_same_time_get_their_own_headers(headers: HeaderReader) -> None:
    read = await asyncio.gather(*(headers.read(f'__alias__ = "v{number}"\n'.encode()) for number in range(100)))
    assert [header.alias for header in read] == [f"v{number}" for number in range(100)]


async def test_the_child_has_nothing_to_reach_anything_with(headers: HeaderReader) -> None:
    assert await headers.read(b"x = 1\n") == Header()
    process = child(headers)
    assert process is not None
    assert process.environ() == {}
    assert process.num_fds() == 4  # the three, and its own memory figures
    assert process.rlimit(psutil.RLIMIT_AS)[0] <= 512 * MIB
    assert process.rlimit(psutil.RLIMIT_NOFILE)[0] == 4
    assert process.rlimit(psutil.RLIMIT_CPU)[0] < 60


async def test_closing_leaves_no_process() -> None:
    headers = HeaderReader()
    await headers.close()
    assert await headers.read(b"x = 1\n") == Header()
    await headers.close()
    assert child(headers) is None
