"""Modules change while clients call: what is saved serves, what breaks does not, and no call fails."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.embedded.server import Embedded
from tests.waiting import eventually

CLIENTS = 16


def module(value: object) -> str:
    """A module whose endpoint `value` gives this value."""
    return f"import expose\n@expose.endpoint(API='value')\ndef value():\n    return {value!r}\n"


def value(server: Embedded, path: str = "/value/") -> object:
    """What the endpoint gives now; its status while it gives nothing."""
    answer = server.get(path)
    return answer.json()["response"]["value"] if answer.status_code == 200 else answer.status_code


@contextmanager
def clients(server: Embedded, path: str) -> Iterator[Counter[tuple[int, str]]]:
    """CLIENTS clients that call the path until the block ends, and count their answers."""
    seen: Counter[tuple[int, str]] = Counter()
    ended = threading.Event()

    def call() -> None:
        with httpx.Client(timeout=30) as client:
            while not ended.is_set():
                answer = client.get(server.path(path))
                seen[answer.status_code, answer.text] += 1

    threads = [threading.Thread(target=call) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_saved_module_serves(live: Embedded) -> None:
    assert value(live) == 404
    (live.plugins / "fresh.py").write_text(module(1))
    eventually(lambda: value(live) == 1)


def test_changes_under_load_fail_no_call(live: Embedded) -> None:
    (live.plugins / "busy.py").write_text(module(0))
    eventually(lambda: value(live) == 0)
    with clients(live, "/busy/value/") as seen:
        for version in range(1, 6):
            (live.plugins / "busy.py").write_text(module(version))
            eventually(lambda version=version: value(live) == version)  # type: ignore[misc]
            (live.plugins / f"other{version}.py").write_text(
                module(version).replace("API='value'", f"API='o{version}'")
            )
            eventually(lambda version=version: live.get(f"/o{version}/").status_code == 200)  # type: ignore[misc]
        (live.plugins / "other1.py").unlink()
        eventually(lambda: live.get("/o1/").status_code == 404)
        (live.plugins / "other2.py").rename(live.plugins / "moved.py")
        eventually(lambda: live.get("/moved/o2/").status_code == 200)
    assert {status for status, _ in seen} == {200}, seen
    assert sum(seen.values()) > 100


def test_a_broken_version_leaves_the_last_good_one_serving(live: Embedded) -> None:
    file = live.plugins / "careful.py"
    file.write_text(module("good"))
    eventually(lambda: value(live) == "good")
    for broken, problem in (
        ("def (\n", "line 1"),
        ("import no_such_module\n", "no_such_module"),
        ("raise RuntimeError('at import')\n", "at import"),
        ("import os\nos._exit(1)\n", "exit code 1"),
        ("__ID__ = 'not a uuid'\n", "__ID__"),
    ):
        file.write_text(broken)
        eventually(lambda problem=problem: problem in live.get("/careful/__dir__/").text)  # type: ignore[misc]
        assert value(live) == "good"
        assert "careful" in live.log
    file.write_text(module("mended"))
    eventually(lambda: value(live) == "mended")
    assert live.get("/careful/__dir__/").json()["modules"]["careful"]["problem"] is None


def test_a_removed_module_stops_serving(live: Embedded) -> None:
    file = live.plugins / "gone.py"
    file.write_text(module(1))
    eventually(lambda: value(live) == 1)
    file.unlink()
    eventually(lambda: value(live) == 404)


def test_a_package_serves_and_its_data_is_followed(live: Embedded) -> None:
    package = live.plugins / "pack"
    (package / "data").mkdir(parents=True)
    (package / "data" / "x.txt").write_text("one")
    (package / "__init__.py").write_text(
        "import expose\nfrom pathlib import Path\n@expose.endpoint(API='value')\n"
        "def value():\n    return (Path(__file__).parent / 'data/x.txt').read_text()\n"
    )
    eventually(lambda: value(live) == "one")
    (package / "data" / "x.txt").write_text("two")
    eventually(lambda: value(live) == "two")


def test_what_is_no_module_is_skipped_with_a_reason(live: Embedded) -> None:
    outside = live.data.parent / "outside.py"
    outside.write_text(module("outside"))
    (live.plugins / "link.py").symlink_to(outside)
    os.mkfifo(live.plugins / "pipe.py")
    (live.plugins / "giant.py").write_bytes(b"#" * (300 * 1024))
    (live.plugins / "json.py").write_text(module(1))
    (live.plugins / "Bad-Name.py").write_text(module(1))
    (live.plugins / "good.py").write_text(module("good"))
    eventually(lambda: value(live) == "good")
    skipped = {entry["path"]: entry["reason"] for entry in live.get("/__dir__/").json()["skipped"]}
    assert set(skipped) == {"link.py", "pipe.py", "giant.py", "json.py", "Bad-Name.py"}
    assert all(skipped.values())


def test_packages_of_requirements_are_installed_while_it_runs(live: Embedded) -> None:
    wheel = live.data.parent / "tiny_package-1.0-py3-none-any.whl"
    make_wheel(wheel)
    (live.plugins / "needs.py").write_text(
        "import expose\nimport tiny_package\n@expose.endpoint(API='value')\ndef value():\n    return tiny_package.VALUE\n"
    )
    eventually(lambda: "tiny_package" in live.get("/needs/value/").text)
    (live.plugins / "requirements.txt").write_text(f"{wheel}\n")
    eventually(lambda: value(live, "/needs/value/") == "from the package", 60)


def test_packages_that_cannot_be_installed_are_a_problem_that_is_shown(live: Embedded) -> None:
    (live.plugins / "good.py").write_text(module("good"))
    (live.plugins / "requirements.txt").write_text("./no-such-package.whl\n")
    eventually(lambda: "could not be installed" in live.get("/__dir__/").text, 60)
    eventually(lambda: value(live) == "good")
    (live.plugins / "requirements.txt").write_text("# nothing\n")
    eventually(lambda: not live.get("/__dir__/").json()["problems"])


def make_wheel(path: Path) -> None:
    """A wheel with one module."""
    import zipfile

    with zipfile.ZipFile(path, "w") as wheel:
        info = "tiny_package-1.0.dist-info"
        wheel.writestr("tiny_package.py", "VALUE = 'from the package'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"tiny_package.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_ten_thousand_endpoints_start_and_answer(live: Embedded) -> None:
    for number in range(1000):
        functions = "".join(
            f"@expose.endpoint(API='a{number}-{each}')\ndef f{each}():\n    return {number * 10 + each}\n"
            for each in range(10)
        )
        (live.plugins / f"m{number}.py").write_text("import expose\n" + functions)
    eventually(lambda: live.get("/m999/a999-9/").status_code == 200 and live.get("/a0-0/").status_code == 200, 60)
    eventually(lambda: len(live.get("/__dir__/").json()["modules"]) == 1000, 60)
    assert live.get("/a512-3/").json()["response"] == {"a512-3": 5123}
    assert httpx.get(live.url, timeout=30).status_code == 200
