"""Given an allow-list and a statement of a tenant's, whether it imports; what others import is nobody's business."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from calls.frames import Imports
from runner.worker.imports import AllowList

NAMES = ("collections", "datetime", "json", "library", "os", "pickle", "decimal")
LIBRARY = "def late():\n    import ctypes\n    return ctypes.__name__\n"


def run(statements: str) -> dict[str, Any]:
    """Runs them as a module of a tenant's, and gives its names."""
    names: dict[str, Any] = {"__name__": "mine", "__builtins__": AllowList(Imports("free", NAMES)).builtins}
    exec(statements, names)  # noqa: S102  # as a worker does
    return names


@pytest.mark.parametrize(
    ("statements", "value"),
    [
        ("import json; x = json.dumps(1)", "1"),
        ("import os.path; x = os.path.join('a', 'b')", "a/b"),
        ("import os.path as p; x = p.join('a', 'b')", "a/b"),
        ("from os import path; x = path.join('a', 'b')", "a/b"),
        ("from os.path import join as j; x = j('a', 'b')", "a/b"),
        ("from collections import *; x = deque('a').pop()", "a"),
        ("x = __import__('json').dumps(1)", "1"),
        ("x = __import__('os.path', fromlist=['join']).join('a', 'b')", "a/b"),
        ("try:\n import ctypes\nexcept ImportError:\n ctypes = None\nx = ctypes", None),
        ("try:\n import no_such_thing\nexcept ModuleNotFoundError:\n x = 5", 5),
        ("def f():\n import json\n return json.dumps(1)\nx = f()", "1"),
        ("exec('import json'); x = json.dumps(1)", "1"),
        # What C code imports in a tenant's name:
        ("from datetime import datetime; x = datetime.strptime('2024', '%Y').year", 2024),
        ("import pickle; x = pickle.loads(b'cfractions\\nFraction\\n.').__name__", "Fraction"),
    ],
)
def test_what_is_on_the_list_is_imported_however_it_is_written(statements: str, value: object) -> None:
    assert run(statements)["x"] == value


@pytest.mark.parametrize(
    "statements",
    [
        "import ctypes",
        "import ctypes.util",
        "import json, ctypes",
        "import ctypes as c",
        "from ctypes import util",
        "from ctypes import *",
        "from ctypes.util import find_library",
        "__import__('ctypes')",
        "__import__('ctypes.util', fromlist=['find_library'])",
        "def f():\n import ctypes\nf()",
        "class A:\n import ctypes",
        "exec('import ctypes')",
        "exec('import ctypes', {})",
        "eval('__import__(\"ctypes\")')",
        "list(map(__import__, ['ctypes']))",
    ],
)
def test_anything_else_is_an_import_error_that_says_what_to_do(statements: str) -> None:
    with pytest.raises(ImportError) as raised:
        run(statements)
    assert raised.value.name is not None
    assert raised.value.name.partition(".")[0] == "ctypes"
    assert str(raised.value) == (
        "ctypes is not on the import allow-list of plan free: have the admin add it to `imports` of this plan in "
        "plans.toml, or give you another plan"
    )


def test_of_what_could_be_brought_along_that_is_said() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^numpy is not on the import allow-list of plan free, .*`vendored`"):
        run("import numpy.linalg")


def test_libraries_import_what_they_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    assert run("import library; x = library.late()")["x"] == "ctypes"
    del sys.modules["library"]


def test_what_was_brought_along_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought.py").write_text("x = 3")
    monkeypatch.syspath_prepend(tmp_path)
    allowed = AllowList(Imports("free", ()))
    names: dict[str, Any] = {"__builtins__": allowed.builtins}
    with pytest.raises(ModuleNotFoundError):
        exec("import brought", names)  # noqa: S102
    allowed.add(["brought"])
    exec("import brought", names)  # noqa: S102
    assert names.pop("brought").x == sys.modules.pop("brought").x == 3


def test_import_module_asks_for_the_tenants_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", importlib.import_module)
    allowed = AllowList(Imports("free", ("importlib", "json")))
    allowed.install()
    names: dict[str, Any] = {"__builtins__": allowed.builtins, "__package__": "json"}
    exec("import importlib\nx = importlib.import_module('json')", names)  # noqa: S102
    exec("y = importlib.import_module('.decoder', __package__)", names)  # noqa: S102
    assert (names["x"].__name__, names["y"].__name__) == ("json", "json.decoder")
    with pytest.raises(ImportError, match=r"^ctypes is not on the import allow-list of plan free: "):
        exec("importlib.import_module('ctypes.util')", names)  # noqa: S102
    assert importlib.import_module("ctypes").__name__ == "ctypes"
