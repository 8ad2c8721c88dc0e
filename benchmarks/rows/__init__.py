"""The rows of the report: each measures one thing and gives one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.plan import Plan
from benchmarks.report import Table
from benchmarks.rows.calls import calls
from benchmarks.rows.catalogue import catalogue, start
from benchmarks.rows.cold import cold
from benchmarks.rows.hung import hung
from benchmarks.rows.idle import idle
from benchmarks.rows.large import large
from benchmarks.rows.memory import memory
from benchmarks.rows.reload import reload
from benchmarks.rows.stack import stack
from benchmarks.rows.tenants import tenants
from benchmarks.rows.tokens import tokens

Row = Callable[[Plan], Table]
"""Measures and gives its table. Raises Invalid when a measurement cannot be used, Unable when this machine
lacks what it takes."""

_EMBEDDED: Final = (calls, reload, start, catalogue, large, hung, tokens, memory)
_STACK: Final = (stack, cold, idle, tenants)
ROWS: Final[dict[str, Row]] = {row.__name__: row for row in (*_EMBEDDED, *_STACK)}
