"""What a module may be called."""

from __future__ import annotations

import keyword
import re
import sys
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

RESERVED: Final = sys.stdlib_module_names | {
    *("expose", "vyperlogix", "calls", "runner", "msgspec", "pyotp"),
    *("conftest", "site", "sitecustomize", "usercustomize", "test"),
}
"""Names that would stand in the way of what a worker itself imports, or that Python and its tools import unasked."""


def flaw(name: str) -> str:
    """Which rule the name of a module breaks; empty when none."""
    if not _NAME.fullmatch(name):
        return (
            "a module's name is a lower-case letter and at most 62 lower-case letters, digits and '_' ([a-z][a-z0-9_]*)"
        )
    if keyword.iskeyword(name):
        return f"'{name}' is a keyword of Python, which cannot name a module"
    if name in RESERVED:
        return f"'{name}' is reserved: Python or Plugbay itself has a module of this name"
    return ""
