"""Plans: the file that is committed, and what is said of one that is wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import plans
from plans import Plan
from runner.worker import late, zygote
from settings import ROOT, BadSettings, Settings

FREE = "[free]\nmemory_mb = 256\ncpus = 1\nrunners = 1\nworkers = 4\n"


def test_the_plans_that_come_with_plugbay() -> None:
    known = plans.load(ROOT / Settings.model_fields["PLANS"].default)
    assert dict(known) == {
        "free": Plan(
            memory_mb=256,
            cpus=1,
            runners=1,
            workers=4,
            rate=20,
            burst=100,
            concurrency=16,
            queue=64,
            seconds=20,
            modules=20,
            bundle_bytes=2 * 1024 * 1024,
            results=100,
        ),
        "standard": Plan(memory_mb=512, cpus=2, runners=4, workers=8),
    }
    assert known["standard"].memory_bytes == 512 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["plan free: is missing"]),
        (FREE.replace("free", "large"), ["plan free: is missing"]),
        (FREE.replace("256", "8"), ["plan free: memory_mb: ", "from 64 to 1048576", "(is 8)"]),
        (FREE.replace("256", '"256"'), ["plan free: memory_mb: ", "an integer", "(is '256')"]),
        (FREE.replace("cpus = 1", "cpus = 0"), ["plan free: cpus: ", "from 0.01 to 1024", "(is 0)"]),
        (FREE.replace("cpus = 1", "cpus = inf"), ["plan free: cpus: ", "from 0.01 to 1024", "(is inf)"]),
        (FREE.replace("runners = 1", "runners = true"), ["plan free: runners: ", "from 1 to 1000", "(is True)"]),
        (FREE.replace("workers = 4\n", ""), ["plan free: workers: ", "from 1 to 16", "(is missing)"]),
        (FREE + "memory = 1\n", ["plan free: memory: ", "memory_mb, cpus, runners, workers, rate, burst"]),
        (FREE + "rate = 0\n", ["plan free: rate: ", "from 0.001 to 1000000", "(is 0)"]),
        (FREE + "queue = -1\n", ["plan free: queue: ", "from 0 to 10000", "(is -1)"]),
        (FREE + "concurrency = 1.5\n", ["plan free: concurrency: ", "an integer", "(is 1.5)"]),
        (FREE + "modules = 0\n", ["plan free: modules: ", "from 1 to 100000", "(is 0)"]),
        (FREE + "seconds = nan\n", ["plan free: seconds: ", "from 0.1 to 86400", "(is nan)"]),
        (FREE + 'imports = ["os.path"]\n', ["plan free: imports: ", "names without dots", "(is 'os.path')"]),
        (FREE + 'imports = ["@all"]\n', ["plan free: imports: ", "'@default' and '*'", "(is '@all')"]),
        (FREE + 'imports = "json"\n', ["plan free: imports: ", "a list of up to 1000", "(is 'json')"]),
        (FREE + "imports = [1]\n", ["plan free: imports: ", "(is 1)"]),
        (FREE + f"imports = {['a'] * 1001}\n", ["plan free: imports: ", "a list of up to 1000"]),
        (FREE + "[Big]\n", ["plan 'Big': "]),
        ("free = 3", ["plan free: must be a table"]),
        ("[free", ["is no TOML"]),
        (FREE + "[a]\n[b]\n", ["plan a: memory_mb: ", "plan b: workers: "]),
    ],
)
def test_what_is_wrong_is_named_with_the_values_it_takes(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "plans.toml").write_text(text)
    with pytest.raises(BadSettings) as bad:
        plans.load(tmp_path / "plans.toml")
    for words in ["PLANS", str(tmp_path / "plans.toml"), *said]:
        assert words in str(bad.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"none\.toml cannot be read"):
        plans.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("line", "importable"),
    [
        ("", plans.DEFAULT_IMPORTS),
        ('imports = ["@default"]', plans.DEFAULT_IMPORTS),
        ('imports = ["@default", "ctypes", "yaml"]', plans.DEFAULT_IMPORTS | {"ctypes", "yaml"}),
        ('imports = ["json"]', {"json", "__future__", "expose", "vyperlogix"}),
        ("imports = []", {"__future__", "expose", "vyperlogix"}),
        ('imports = ["*", "json"]', None),
    ],
)
def test_what_a_plan_lets_import(tmp_path: Path, line: str, importable: set[str] | None) -> None:
    (tmp_path / "plans.toml").write_text(FREE + line)
    assert plans.load(tmp_path / "plans.toml")["free"].importable == importable


def test_all_that_may_be_imported_by_default_is_there() -> None:
    preloaded = {module.__name__.partition(".")[0] for module in zygote._PRELOADED} | late.PACKAGES
    assert preloaded < plans.DEFAULT_IMPORTS
    assert sys.stdlib_module_names | preloaded >= plans.DEFAULT_IMPORTS
    assert [name for name in plans.DEFAULT_IMPORTS if importlib.util.find_spec(name) is None] == []
