"""What modules import under a plan's allow-list, in real workers: their own, their packages', and what is not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

import plans
from calls.call import Outcome
from calls.frames import Imports
from runner.limits import PoolLimits
from tests.runner.bench import Bench, hosting, limits, runner_limits, tenants
from tests.runner.test_calls import source
from tests.runner.test_tenants import A, UnguardedLauncher
from tests.waiting import until

FREE = Imports("free", tuple(sorted(plans.DEFAULT_IMPORTS)))
TOLD = "ctypes is not on the import allow-list of plan free: "
SHOP = {
    "shop/__init__.py": source(
        "from . import late\n"
        "return [orders.total(), late.NAME, s.slug('A') + slug('B'), dateish.YEAR, helper.x, data.__name__, text]"
    )
    + "import helper\nimport shop.orders\nimport shop.data as data\nfrom shop import orders\nimport slug as s, dateish\n"
    + "from slug import *\nfrom importlib.resources import files\ntext = files('shop').joinpath('data/a.txt').read_text()\n",
    "shop/orders.py": "from .data.prices import PRICE\nfrom . import data\n\ndef total():\n    return PRICE\n",
    "shop/late.py": "NAME = __name__\n",
    "shop/data/__init__.py": "",
    "shop/data/prices.py": "from .. import data\nfrom ..data import __name__ as name\nPRICE = len(data.__name__)\n",
    "shop/data/a.txt": "text",
    "shop/vendored/slug.py": "import json\ndef slug(text): return json.dumps(text.lower())\n",
    "shop/vendored/dateish/__init__.py": "from .years import YEAR\n",
    "shop/vendored/dateish/years.py": "import slug\nYEAR = 2024\n",
}

pytestmark = pytest.mark.parametrize("pool_limits", [limits(runner=runner_limits(imports=FREE))], ids=["free"])


async def test_bundles_import_what_they_carry(bench: Bench) -> None:
    candidates = {"helper": bench.modules.put("helper", "x = 5\n"), "shop": bench.modules.put("shop", SHOP)}
    reply = await bench.inspect("shop", candidates)
    assert reply.outcome is Outcome.VALUE, reply
    assert {"helper", "slug", "dateish"} <= set(msgspec.json.decode(reply.payload)["imports"])
    assert await bench.value("shop", "run") == [9, "shop.late", '"a""b"', 2024, 5, "shop.data", "text"]


REFUSED = {
    "plain": ({"plain.py": "import json\n\nimport ctypes\n"}, 3),
    "part": ({"part.py": "from ctypes import util\n"}, 1),
    "below": ({"below/__init__.py": "import below.part\n", "below/part.py": "\n\n\n\nimport ctypes.util\n"}, 5),
    "brings": ({"brings/__init__.py": "import slug\n", "brings/vendored/slug.py": "\n\nimport ctypes\n"}, 3),
    "poses": ({"poses/__init__.py": "import ctypes\n", "poses/vendored/ctypes.py": "x = 1\n"}, 1),
    "called": ({"called.py": "import importlib\nimportlib.import_module('ctypes')\n"}, 2),
}


async def test_a_module_that_imports_anything_else_is_refused_with_the_line(bench: Bench) -> None:
    for name, (files, line) in REFUSED.items():
        inspected = await bench.inspect(name, {name: bench.modules.keep(name, files)})
        bench.modules.put(name, files)
        for reply in (inspected, await bench.call(name, "run")):
            assert reply.outcome is Outcome.IMPORT_FAILED
            said = reply.payload.decode()
            assert said.startswith(f"ImportError: {TOLD}"), said
            assert said.endswith(f"(line {line})"), said


async def test_at_call_time_it_is_an_error_of_the_call_that_a_function_can_handle(bench: Bench) -> None:
    bench.modules.put("late", source("import ctypes"))
    reply = await bench.call("late", "run")
    assert (reply.outcome, reply.payload.decode().startswith(f"ImportError: {TOLD}")) == (Outcome.RAISED, True), reply
    bench.modules.put(
        "falls",
        source("try:\n    import ctypes\nexcept ImportError:\n    import json as ctypes\nreturn ctypes.__name__"),
    )
    assert await bench.value("falls", "run") == "json"
    for name in ("calls", "runner"):  # what a worker is made of
        bench.modules.put("curious", source(f"import {name}"))
        reply = await bench.call("curious", "run")
        assert reply.payload.startswith(f"ModuleNotFoundError: {name} is not on the import ".encode()), reply


async def test_without_a_list_anything_is_imported_and_another_one_counts_from_the_next_runner_on(
    pool_limits: PoolLimits,
) -> None:
    plan = {A: limits(max_runners=1, runner=runner_limits(1))}

    async def plan_of(owner: str) -> PoolLimits:
        return plan[owner]

    launcher = UnguardedLauncher(sys.executable, {"PATH": os.environ["PATH"]})
    async with hosting(launcher, limits(), tenants(), plan_of) as bench:
        bench.modules.put("who", source("import ctypes\nreturn os.getppid()"))
        zygote = await bench.value("who", "run", owner=A)
        plan[A] = pool_limits
        assert await bench.value("who", "run", owner=A) == zygote
        os.kill(zygote, 9)
        await until(lambda: not Path(f"/proc/{zygote}").exists())
        reply = await bench.call("who", "run", owner=A)
        assert (reply.outcome, TOLD.encode() in reply.payload) == (Outcome.RAISED, True), reply
