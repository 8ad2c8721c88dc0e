"""What a command prints: for people on a terminal, or one JSON document and nothing else with `--json`.

Text that functions produced may hold escape sequences; it is made harmless before a terminal sees it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

import typer

from cli.problem import Problem

if TYPE_CHECKING:
    from rich.console import Console

_CONTROLS = [
    *range(0x20),
    *range(0x7F, 0xA0),
    0x200E,
    0x200F,
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]
_VISIBLE = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS if chr(code) not in "\n\t"
}


def harmless(text: str) -> str:
    """The text with control and direction characters spelled out; line ends and tabs stay."""
    return text.replace("\r\n", "\n").translate(_VISIBLE)


class Output:
    """Where one command's results go."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        """Standard output for people: colours and line breaks only on a terminal."""
        return _console(sys.stdout)

    def document(self, value: object) -> None:
        """One JSON value on a line of its own, in ASCII."""
        print(json.dumps(value), flush=True)

    def line(self, text: str = "", style: str = "") -> None:
        """Text for people."""
        self.console.print(harmless(text), style=style or None, soft_wrap=True)

    def pretty(self, value: object) -> None:
        """A JSON value for people, coloured on a terminal."""
        from rich.syntax import Syntax

        text = harmless(json.dumps(value, indent=2, ensure_ascii=False))
        if self.console.is_terminal:
            self.console.print(Syntax(text, "json", background_color="default", word_wrap=True))
        else:
            self.line(text)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Rows under a heading; on a terminal long cells wrap, elsewhere a row is a line."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(harmless(cell)) for cell in row))
        self.console.print(table)

    def note(self, text: str) -> None:
        """Something about the results, beside them: on standard error, never with `--json`."""
        if not self.as_json:
            _console(sys.stderr).print(harmless(text), style="dim", soft_wrap=True)


@contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """The output of one command; a Problem raised inside is shown and becomes the exit code."""
    out = Output(as_json)
    try:
        yield out
    except Problem as problem:
        if as_json:
            errors = [{"field": field, "problem": text} for field, text in problem.errors]
            out.document({"status": problem.message, "errors": errors})
        # A server with one thing to say says it twice; the field is what it adds.
        fields = [f"{field}: " for field, text in problem.errors if text == problem.message and field not in text]
        console = _console(sys.stderr)
        console.print(harmless("".join(fields[:1]) + problem.message), style="red", soft_wrap=True)
        for field, text in problem.errors:
            if text != problem.message:
                console.print(harmless(f"  {field}: {text}"), soft_wrap=True)
        raise typer.Exit(problem.exit_code) from problem


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False, width=None if stream.isatty() else 10_000)
