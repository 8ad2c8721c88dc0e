"""One thing that `plugbay doctor` has looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    finding: str
    fix: str = ""
    """What to do; empty when all is well."""
    required: bool = True
    """False for what only some functions, or tenants, need."""
