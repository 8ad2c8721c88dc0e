"""docs/tenants.md says what of the standard library tenants do not import by default: that, and nothing else."""

from __future__ import annotations

import sys

from plans import DEFAULT_IMPORTS
from tests.docs.markdown import ROOT, code, table

TENANTS = (ROOT / "docs/tenants.md").read_text(encoding="utf-8")


def test_what_is_left_out_is_told() -> None:
    told = {name for names, _ in table(TENANTS, "left out") for name in code(names) if not name.startswith("_")}
    assert not told & DEFAULT_IMPORTS
    assert {name for name in sys.stdlib_module_names - DEFAULT_IMPORTS if not name.startswith("_")} <= told
    assert {name for name in DEFAULT_IMPORTS if name.startswith("_")} == {"_thread", "__future__"}
