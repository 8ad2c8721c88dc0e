"""Child process that reads module headers: parsing hostile source can take gigabytes and minutes.

Run as a script by `catalogue.header` with nothing but the standard library. On its standard input it
gets 4 bytes of big-endian length and a source, again and again; for each it answers 4 bytes of length
and JSON. It parses and never compiles or runs what it is given.
"""

from __future__ import annotations

import ast
import json
import os
import re
import resource
import struct
import sys
import time
import unicodedata
import warnings
from collections.abc import Iterator

MEMORY_BYTES = 512 * 1024 * 1024
"""Address space of this process at most."""

CPU_SECS = 5
"""Processor time for one source at most."""

RETIRE_BYTES = 128 * 1024 * 1024
"""Memory that, still held after a source, makes the process ask to be replaced, so that it is given back."""

LENGTH = struct.Struct("!I")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_CODING = re.compile(rb"coding[:=][ \t]*([-\w.]+)", re.ASCII)
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class BadSource(Exception):
    """The source cannot be served; the message says why. `line` counts from 1, 0 where unknown."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


def read_header(source: bytes) -> tuple[str | None, str | None]:
    """The module's `__ID__` and `__alias__`, None where absent. Raises BadSource."""
    text = decoded(source)
    tree = _parsed(source)
    # Identifiers are compared as Python does: two spellings of one name are one name.
    named = text if text.isascii() else unicodedata.normalize("NFKC", text)
    owner = _literal(tree, "__ID__") if "__ID__" in named else None
    if owner is not None and not _UUID.fullmatch(owner):
        raise BadSource(f"__ID__ is not a UUID in lower case with hyphens: {owner[:50]!a}")
    alias = _literal(tree, "__alias__") if "__alias__" in named else None
    if alias is not None and not _ALIAS.fullmatch(alias):
        raise BadSource(f"__alias__ is not a letter followed by at most 62 letters, digits, '_' or '-': {alias[:80]!a}")
    return owner, alias


def decoded(source: bytes) -> str:
    """The source as text. Every reader must see the same text, so there is one encoding and no doubt about it.

    Raises BadSource.
    """
    for byte, name in ((b"\0", "NUL"), (b"\f", "form feed")):
        if byte in source:
            raise BadSource(f"a {name} byte in the source", _line(source, source.index(byte)))
    for number, line in enumerate(_NEWLINE.split(source, 2)[:2], 1):
        for coding in _CODING.findall(line):
            if b"#" in line and coding.lower().replace(b"_", b"-") not in (b"utf-8", b"utf8"):
                raise BadSource(f"the source says its encoding is {coding.decode()[:50]!a}: only UTF-8", number)
    try:
        return source.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise BadSource("the source is not UTF-8", _line(source, error.start)) from error


def _line(source: bytes, position: int) -> int:
    return len(_NEWLINE.findall(source, 0, position)) + 1


def _parsed(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise BadSource(f"SyntaxError: {error.msg}{where}", error.lineno or 0) from error
    except (ValueError, OverflowError) as error:
        raise BadSource(f"the source cannot be parsed: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise BadSource("the source is nested too deeply, or takes too much memory to parse") from error


def _literal(tree: ast.Module, name: str) -> str | None:
    """What the module's one assignment of a string literal to `name` says; None when nothing binds the name."""
    bindings = sorted(_bindings(tree, name), key=lambda node: getattr(node, "lineno", 0))
    if not bindings:
        return None
    lines = [getattr(node, "lineno", 0) for node in bindings]
    if len(bindings) > 1:
        raise BadSource(f"{name} is set more than once, in lines {', '.join(map(str, lines[:10]))}", lines[1])
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant(value=str(value))) if target == name:
                return value
    raise BadSource(f'{name} is not set as {name} = "a string literal" at the top level, in line {lines[0]}', lines[0])


def _bindings(tree: ast.Module, name: str) -> Iterator[ast.AST]:
    """Everything that binds or deletes `name` in the module's own scope."""
    nodes: list[ast.AST] = [*tree.body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Name):
            if node.id == name and not isinstance(node.ctx, ast.Load):
                yield node
        elif name in (getattr(node, field, None) for field in ("name", "asname", "rest")):
            yield node  # def, class, import, except … as, and the captures of match
        if not isinstance(node, _OWN_SCOPE):
            nodes.extend(ast.iter_child_nodes(node))


def _resident(statm: int) -> int:
    """Bytes of memory held now. Not `ru_maxrss`: that starts at what the process held that started this one."""
    return int(os.pread(statm, 256, 0).split()[1]) * resource.getpagesize()


def _answer(source: bytes) -> dict[str, str | int | None]:
    try:
        owner, alias = read_header(source)
        return {"owner": owner, "alias": alias}
    except BadSource as error:
        return {"problem": str(error)[:500], "line": error.line}


def main() -> None:
    """Answers until the standard input ends."""
    warnings.simplefilter("ignore")
    os.nice(10)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # some event loops let children inherit more than the three
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, statm + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while prefix := stdin.read(LENGTH.size):
        source = stdin.read(LENGTH.unpack(prefix)[0])
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_SECS + 1, most))
        header = _answer(source)
        answer = json.dumps(header | {"retire": _resident(statm) > RETIRE_BYTES}).encode()
        stdout.write(LENGTH.pack(len(answer)) + answer)
        stdout.flush()


if __name__ == "__main__":
    main()
