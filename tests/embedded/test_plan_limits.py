"""What a plan allows, on the embedded platform: what is refused and how, and what is counted of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.embedded.server import ADMIN_KEY, Embedded, running
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

PLANS = """
[free]
memory_mb = 256
cpus = 1
runners = 1
workers = 4
rate = 0.001
burst = 3

[narrow]
memory_mb = 256
cpus = 1
runners = 1
workers = 4
concurrency = 1
queue = 1
seconds = 1
modules = 2
bundle_bytes = 1024

[plain]
memory_mb = 256
cpus = 1
runners = 1
workers = 4
"""
SOURCE = """
import time

import expose


@expose.endpoint(method="POST")
def size(text: str = ""):
    return len(text)


@expose.endpoint(method="GET", timeout=20)
def forever():
    time.sleep(60)
"""
BURNING = """
import os
import time

import expose


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@expose.endpoint(method="GET")
def run():
    if not os.fork():
        burn(0.5)
        os._exit(0)
    burn(0.5)
    os.wait()
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "plans.toml").write_text(PLANS)
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "mine.py").write_text("import expose\n\n\n@expose.endpoint()\ndef ping():\n    return 1\n")
    with running(plugins, folder / "data", PLANS=folder / "plans.toml") as started:
        yield started


def register(platform: Embedded, name: str, plan: str) -> str:
    uuid = str(platform.api("POST", "/tenants", json={"name": name, "plan": plan}).json()["uuid"])
    put = upload(platform, uuid, "t")
    assert put.is_success, put.text
    return uuid


def upload(platform: Embedded, tenant: str, name: str, source: str = SOURCE) -> httpx.Response:
    return httpx.put(
        f"{platform.url}/api/tenants/{tenant}/modules/{name}",
        content=source,
        headers={"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "text/x-python"},
        timeout=60,
    )


def test_a_rate_is_told_and_another_plan_lifts_it(platform: Embedded) -> None:
    one, other = register(platform, "rate", "free"), register(platform, "other", "free")
    assert [platform.post(f"/{one}/t/size/", json={"text": "x"}).status_code for _ in range(3)] == [200] * 3
    refused = platform.post(f"/{one}/t/size/", content=b"x" * 1000)
    assert refused.status_code == 429
    assert refused.json()["status"] == "plan free: at most 0.001 calls per second"
    assert int(refused.headers["retry-after"]) > 900
    assert platform.post(f"/{other}/t/size/").status_code == 200
    assert [platform.get("/mine/ping/").status_code for _ in range(20)] == [200] * 20
    [day] = platform.api("GET", f"/tenants/{one}/usage").json()["days"]
    assert (day["calls"], day["refused"], day["errors"]) == (4, 1, 0)
    assert day["cold_starts"] <= 1
    assert (day["bytes_in"], day["bytes_out"] > 0, day["run_seconds"] > 0) == (3 * len('{"text":"x"}'), True, True)
    assert platform.api("PATCH", f"/tenants/{one}", json={"plan": "narrow"}).is_success
    assert platform.post(f"/{one}/t/size/").status_code == 200


def test_processor_time_is_counted_with_that_of_child_processes(platform: Embedded) -> None:
    uuid = register(platform, "burning", "plain")
    assert upload(platform, uuid, "burning", BURNING).is_success

    def used() -> float:
        days = platform.api("GET", f"/tenants/{uuid}/usage").json()["days"]
        return float(sum(day["cpu_seconds"] for day in days))

    assert platform.post(f"/{uuid}/t/size/").status_code == 200
    eventually(lambda: used() > 0)
    before = used()
    assert platform.get(f"/{uuid}/burning/run/").status_code == 200
    eventually(lambda: used() >= before + 0.95)


def test_one_runs_one_waits_and_others_are_refused(platform: Embedded) -> None:
    uuid = register(platform, "narrow", "narrow")
    with ThreadPoolExecutor(4) as threads:
        answers = [one.result() for one in [threads.submit(platform.get, f"/{uuid}/t/forever/") for _ in range(4)]]
    assert sorted(answer.status_code for answer in answers) == [429, 429, 504, 504]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["status"] == "plan narrow: at most 1 calls at once, and 1 that wait"
    assert refused.headers["retry-after"] == "1"
    late = next(answer for answer in answers if answer.status_code == 504)
    assert "1 s" in late.json()["status"]


def test_modules_are_counted(platform: Embedded) -> None:
    uuid = register(platform, "modules", "narrow")
    assert upload(platform, uuid, "second").status_code == 201
    refused = upload(platform, uuid, "third")
    assert (refused.status_code, refused.json()["status"]) == (429, "plan narrow: at most 2 uploaded modules")
    assert upload(platform, uuid, "second").status_code == 200
    large = upload(platform, uuid, "second", SOURCE + "# " + "x" * 1024)
    assert large.status_code == 413
    assert large.json()["status"] == "plan narrow: at most 1024 bytes of one module, packed and unpacked"


def test_usage_is_the_tenants_own_and_outlives_the_platform(tmp_path: Path) -> None:
    folders = (tmp_path / "plugins", tmp_path / "data")
    with running(*folders) as platform:
        made = platform.api("POST", "/tenants", json={"name": "kept"}).json()
        httpx.put(
            f"{platform.url}/api/tenants/{made['uuid']}/modules/t",
            content=SOURCE,
            headers={"Authorization": f"Bearer {made['key']}", "Content-Type": "text/x-python"},
            timeout=60,
        )
        assert platform.post(f"/{made['uuid']}/t/size/").is_success
    with running(*folders) as platform:
        for uuid, status in ((made["uuid"], 200), ("0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1", 403)):
            answer = httpx.get(
                f"{platform.url}/api/tenants/{uuid}/usage", headers={"Authorization": f"Bearer {made['key']}"}
            )
            assert answer.status_code == status
        days = platform.api("GET", f"/tenants/{made['uuid']}/usage?days=2").json()["days"]
        assert sum(day["calls"] for day in days) == 1
        assert platform.api("GET", f"/tenants/{made['uuid']}/usage?days=0").status_code == 422
