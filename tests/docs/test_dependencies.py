"""docs/architecture.md says of each dependency why it is there."""

from __future__ import annotations

import re
import tomllib

from tests.docs.markdown import ARCHITECTURE, ROOT, code, table


def test_every_package_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    rows = table(ARCHITECTURE, "package")
    assert [code(name)[0] for name, _ in rows] == [re.split(r"[\[><=~! ]", one)[0] for one in wanted]
    assert all(reason for _, reason in rows)
