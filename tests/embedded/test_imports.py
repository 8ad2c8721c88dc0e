"""Given the plans that come with Plugbay, when a tenant's module imports what its plan does not list, then it is told so:
by the upload, in its directory, and by a call."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from settings import ROOT
from tests.embedded.server import ADMIN_KEY, Embedded, running
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

ANYTHING = '\n[anything]\nmemory_mb = 256\ncpus = 1\nrunners = 1\nworkers = 4\nimports = ["*"]\n'
NATIVE = """\
import expose
import ctypes

@expose.endpoint(method="GET")
def size():
    return ctypes.sizeof(ctypes.c_int32)
"""
LATE = """\
import expose
from datetime import datetime

@expose.endpoint(method="GET")
def size():
    import ctypes
    return ctypes.sizeof(ctypes.c_int32)

@expose.endpoint(method="GET")
def year(text: str):
    return datetime.strptime(text, "%d.%m.%Y").year
"""
TOLD = (
    "ImportError: ctypes is not on the import allow-list of plan free: have the admin add it to `imports` of this plan "
    "in plans.toml, or give you another plan"
)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("imports")
    (folder / "plans.toml").write_text((ROOT / "plans.toml").read_text() + ANYTHING)
    with running(folder / "plugins", folder / "data", PLANS=folder / "plans.toml") as started:
        yield started


def register(platform: Embedded, name: str, plan: str = "free") -> str:
    return str(platform.api("POST", "/tenants", json={"name": name, "plan": plan}).json()["uuid"])


def upload(platform: Embedded, tenant: str, name: str, source: str) -> httpx.Response:
    return httpx.put(
        f"{platform.url}/api/tenants/{tenant}/modules/{name}",
        content=source,
        headers={"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "text/x-python"},
        timeout=60,
    )


def test_an_upload_is_refused_with_the_line_and_what_to_do(platform: Embedded) -> None:
    uuid = register(platform, "Ada")
    refused = upload(platform, uuid, "native", NATIVE)
    assert refused.status_code == 422, refused.text
    assert f"{TOLD} (line 2)" in refused.json()["status"]
    late = upload(platform, uuid, "late", LATE)
    assert late.status_code == 201, late.text
    assert platform.get(f"/{uuid}/late/year/?text=1.2.2024").json()["response"] == {"year": 2024}
    failed = platform.get(f"/{uuid}/late/size/")
    assert (failed.status_code, TOLD in failed.text) == (500, True), failed.text


def test_a_file_is_listed_with_the_same_reason(platform: Embedded) -> None:
    uuid = register(platform, "Bob")
    file = platform.plugins / "native.py"
    file.write_text(f'__ID__ = "{uuid}"\n{NATIVE}')
    eventually(lambda: platform.get(f"/{uuid}/__dir__/").json()["problems"])
    [problem] = platform.get(f"/{uuid}/__dir__/").json()["problems"]
    assert (problem["module"], TOLD in problem["text"], problem["line"]) == ("native", True, 3), problem
    file.unlink()


def test_another_plan_has_another_list_and_the_admin_has_none(platform: Embedded) -> None:
    uuid = register(platform, "Zoe", "anything")
    assert upload(platform, uuid, "native", NATIVE).status_code == 201
    assert platform.get(f"/{uuid}/native/size/").json()["response"] == {"size": 4}
    (platform.plugins / "mine.py").write_text(NATIVE)
    eventually(lambda: platform.get("/mine/size/").status_code == 200)
