"""How tenants are found by the beginning of a name: one form of a name whatever its case, and ranges of texts; and
what is said of a name that is another's."""

from __future__ import annotations

import unicodedata
from typing import Final

from store.contract import Conflict, TenantChange

_LAST: Final = "\U0010ffff"
"""No text that anybody means has this code point; both databases order texts by code points."""


def folded(name: str) -> str:
    """The same for names that a person would take for the same."""
    return unicodedata.normalize("NFKC", name).casefold()


def beginning_with(text: str) -> tuple[str, str]:
    """The least text that begins with `text`, and one behind all of them."""
    return text, text + _LAST


def taken(change: TenantChange) -> Conflict:
    """What is raised when this change would have two of one name."""
    name = f"another one is called {change.name}" if change.name else "one of its name is there already"
    return Conflict(name)
