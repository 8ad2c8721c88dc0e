"""Given modules, pools and settings, when the admin asks for them or changes them, then this is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.runtime_settings import RuntimeSettings
from tests.gateway.control_server import TENANT, Plane, hello, numbered, problems, serving, settings, view

pytestmark = pytest.mark.asyncio(loop_scope="module")


JSON = {"Content-Type": "application/json"}
NO_SIZES: list[Any] = [-1, 0, 6, 10**9, 10**30, 1.5, True, None, "2", "1;rm", [], {"$gt": ""}]
NO_COUNTS: list[Any] = [-1, 101, 10**30, 1.5, "5", True, [], {"$ne": None}]
NO_NAMES: list[Any] = [1, True, [], {"$ne": None}, "", "a b", "1a", "func", "ä", "a\n", "x" * 64]
NO_SETTINGS = ["URL_PARM0", "URL_PARM101", "URL_PARM", "url_parm1", "$set", "a.b", "__proto__", "", "\0"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    async with serving(tmp_path_factory.mktemp("store")) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="module")
async def plane(running: Plane) -> Plane:
    await running.reset()
    return running


async def pages(plane: Plane, path: str, key: str, limit: int) -> list[list[Any]]:
    """All pages of a list."""
    found: list[list[Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = await plane.json("GET", path, params={"limit": limit} | cursor)
        found.append(answer[key])
        if answer["next"] is None:
            return found
        cursor = {"cursor": answer["next"]}


async def test_modules_and_what_should_have_become_one(plane: Plane) -> None:
    answer = await plane.json("GET", "/api/modules")
    assert answer["next"] is None
    served, orphan = answer["modules"]
    assert served == {
        "name": "hello",
        "alias": "v1",
        "digest": "ab" * 32,
        "source": "hello.py",
        "endpoints": 2,
        "problem": {"text": "NameError: jsn", "line": 3, "since": 1.0},
    }
    assert (orphan["name"], orphan["digest"], orphan["problem"]["text"]) == ("orphan", None, "its __ID__ is nobody's")


async def test_modules_by_page(plane: Plane) -> None:
    plane.catalogue.current = view(*reversed(numbered(7)))
    found = await pages(plane, "/api/modules", "modules", 3)
    assert [len(page) for page in found] == [3, 3, 2]
    names = [module["name"] for page in found for module in page]
    assert names == [f"m{number:04}" for number in range(7)] + ["orphan"]


async def test_one_module(plane: Plane) -> None:
    answer = await plane.json("GET", "/api/modules/hello")
    assert (answer["doc"], answer["functions"], answer["imports"]) == ("Greetings.", ["inner"], ["json"])
    assert problems(await plane.json("GET", "/api/modules/v1", 404)) == {"name": "There is no module v1."}


async def test_endpoints(plane: Plane) -> None:
    add, world = (await plane.json("GET", "/api/endpoints"))["endpoints"]
    assert (add["api"], add["timeout"], add["methods"]) == ("add", 2.5, ["POST"])
    assert world == {
        "module": "hello",
        "api": "hello-world",
        "methods": ["GET", "PUT"],
        "path": "/rest/services/hello/hello-world/",
        "function": "foo",
        "doc": "Says hello.",
        "concurrent": False,
        "timeout": None,
        "concurrency": None,
        "parameters": [
            {"name": "name", "type": "str", "required": True, "default": ""},
            {"name": "loud", "type": "bool", "required": False, "default": "False"},
        ],
    }


async def test_endpoints_by_page_and_module(plane: Plane) -> None:
    plane.catalogue.current = view(*numbered(4, apis=3))
    found = await pages(plane, "/api/endpoints", "endpoints", 5)
    assert [len(page) for page in found] == [5, 5, 2]
    assert len({(one["module"], one["api"]) for page in found for one in page}) == 12
    page = await plane.json("GET", "/api/endpoints?module=m0002&limit=3")
    assert [one["module"] for one in page["endpoints"]] == ["m0002"] * 3
    assert page["next"] is None
    answer = await plane.json("GET", "/api/endpoints?module=none", 404)
    assert problems(answer) == {"module": "There is no module none."}


@pytest.mark.parametrize(
    "query",
    [
        *(f"limit={bad}" for bad in ("-1", "0", "501", "1e9", "NaN", "1e400", "", "x", "9" * 400)),
        "cursor=../x",
        "cursor=%24where",
        "cursor=",
        "sort=$where",
        "status[$ne]=x",
        "limit[$gt]=1",
        "module=%00",
    ],
)
@pytest.mark.parametrize("path", ["/api/modules", "/api/endpoints", "/api/logs"])
async def test_odd_queries(plane: Plane, path: str, query: str) -> None:
    response = await plane.client.get(f"{path}?{query}")
    assert response.status_code == 422
    assert problems(response.json())


@pytest.mark.parametrize("path", ["/api/pools", "/api/settings", "/api/modules/hello"])
async def test_where_there_is_no_query(plane: Plane, path: str) -> None:
    assert list(problems(await plane.json("GET", f"{path}?a=1", 422))) == ["a"]


async def test_pools(plane: Plane) -> None:
    shown = await plane.json("GET", "/api/pools")
    admin, tenant = shown["pools"]
    assert shown["hosts"] == [{"name": "vm-1", "draining": False, "capacity": 8, "load": 5}]
    assert (admin["name"], admin["size"], admin["queue"], admin["cold_starts"]) == ("admin", 1, 4, 2)
    assert admin["kills"] == {"time limit": 3}
    assert (admin["runners"][0]["busy"], admin["runners"][0]["host"]) == (1, "vm-1")
    assert tenant["name"] == TENANT


async def test_scaling(plane: Plane) -> None:
    assert (await plane.json("PUT", "/api/pools/admin", json={"size": 2}))["size"] == 2
    assert plane.pools.all["admin"].size == 2


@pytest.mark.parametrize(
    "body",
    [
        *({"size": bad} for bad in NO_SIZES),
        {},
        {"size": 2, "owner": TENANT},
        {"size": 2, "image": "evil"},
        {"size": 2, "__proto__": {}},
    ],
)
async def test_sizes_that_are_none(plane: Plane, body: dict[str, Any]) -> None:
    answer = await plane.json("PUT", "/api/pools/admin", 422, content=json.dumps(body), headers=JSON)
    assert set(problems(answer)) <= {"size", "owner", "image", "__proto__"}
    assert plane.pools.all["admin"].size == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"3", b'"x"', b'{"size": NaN}', b"\xff", b'{"size":' + b"1" * 5000 + b"}"]
)
async def test_bodies_that_are_none(plane: Plane, body: bytes) -> None:
    response = await plane.client.put("/api/pools/admin", content=body, headers=JSON)
    assert response.status_code in (400, 422)
    assert problems(response.json())


async def test_a_deep_body(plane: Plane) -> None:
    response = await plane.client.put("/api/pools/admin", content=b"[" * 30_000 + b"]" * 30_000, headers=JSON)
    assert response.status_code in (400, 422)
    assert problems(response.json())


async def test_a_body_must_say_that_it_is_json(plane: Plane) -> None:
    response = await plane.client.put(
        "/api/pools/admin", content=b'{"size": 2}', headers={"Content-Type": "text/plain"}
    )
    assert response.status_code == 422
    assert plane.pools.all["admin"].size == 1


async def test_sizes_that_do_not_fit_and_pools_that_are_not(plane: Plane) -> None:
    answer = await plane.json("PUT", "/api/pools/admin", 422, json={"size": 3})
    assert problems(answer) == {"size": "the machine has room for 2 runners"}
    answer = await plane.json("PUT", f"/api/pools/{TENANT}", 503, json={"size": 3})
    assert answer["status"] == "no runner host is there"
    answer = await plane.json("PUT", "/api/pools/nobody", 404, json={"size": 1})
    assert problems(answer) == {"name": "There is no pool nobody."}


async def test_draining(plane: Plane) -> None:
    assert (await plane.json("POST", f"/api/pools/{TENANT}/drain"))["name"] == TENANT
    assert (await plane.json("POST", f"/api/runners/{'0' * 16}/drain"))["name"] == "admin"
    assert plane.pools.drained == [TENANT, "0" * 16]
    assert (await plane.json("POST", "/api/hosts/vm-1/drain"))["draining"] is True
    assert (await plane.json("GET", "/api/pools"))["hosts"][0]["draining"] is True
    assert (await plane.json("DELETE", "/api/hosts/vm-1/drain"))["draining"] is False


@pytest.mark.parametrize(
    ("path", "field", "problem"),
    [
        ("/api/pools/nobody/drain", "name", "There is no pool nobody."),
        ("/api/runners/nobody/drain", "id", "There is no runner nobody."),
        ("/api/hosts/nobody/drain", "name", "There is no runner host nobody."),
    ],
)
async def test_what_is_not_there_is_not_drained(plane: Plane, path: str, field: str, problem: str) -> None:
    assert problems(await plane.json("POST", path, 404)) == {field: problem}


def by_name(answer: Any) -> dict[str, tuple[Any, Any, str]]:
    """Settings by name."""
    return {one["name"]: (one["value"], one["default"], one["source"]) for one in answer["settings"]}


async def test_settings(plane: Plane) -> None:
    assert by_name(await plane.json("GET", "/api/settings")) == {
        "REQUIRE_TOKENS": ("none", "none", ".env"),
        "NUM_URL_PARMS": (3, 3, ".env"),
        "URL_PARM1": ("city", "city", ".env"),
        "URL_PARM2": ("street", "street", ".env"),
        "URL_PARM3": ("parm_3", "parm_3", ".env"),
    }


async def test_a_change_holds_at_once_and_after_a_restart(plane: Plane) -> None:
    change = {"NUM_URL_PARMS": 4, "URL_PARM1": "town", "URL_PARM4": "door"}
    answer = await plane.json("PATCH", "/api/settings", json=change)
    assert answer == await plane.json("GET", "/api/settings")
    assert by_name(answer)["URL_PARM1"] == ("town", "city", "control plane")
    assert plane.services.runtime.url_parameters == ("town", "street", "parm_3", "door")
    again = RuntimeSettings(settings(), plane.store)
    await again.load()
    assert again.url_parameters == ("town", "street", "parm_3", "door")


async def test_null_goes_back(plane: Plane) -> None:
    await plane.json("PATCH", "/api/settings", json={"NUM_URL_PARMS": 2, "URL_PARM1": "town"})
    answer = await plane.json("PATCH", "/api/settings", json={"NUM_URL_PARMS": None})
    assert by_name(answer)["NUM_URL_PARMS"] == (3, 3, ".env")
    assert by_name(answer)["URL_PARM1"][0] == "town"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *(({"NUM_URL_PARMS": bad}, "NUM_URL_PARMS") for bad in NO_COUNTS),
        *(({"URL_PARM1": bad}, "URL_PARM1") for bad in NO_NAMES),
        ({"URL_PARM1": "street"}, "URL_PARM1"),
        *(({bad: "x"}, bad) for bad in NO_SETTINGS),
        ({"ADMIN_KEY": "another-key-of-mine"}, "ADMIN_KEY"),
        ({"MAX_BODY_BYTES": None}, "MAX_BODY_BYTES"),
        ({"URL_PARM1": "fine", "URL_PARM2": "not fine"}, "URL_PARM2"),
    ],
)
async def test_changes_that_are_none_change_nothing(plane: Plane, change: dict[str, Any], field: str) -> None:
    before = await plane.json("GET", "/api/settings")
    answer = await plane.json("PATCH", "/api/settings", 422, content=json.dumps(change), headers=JSON)
    assert list(problems(answer)) == [field]
    assert await plane.json("GET", "/api/settings") == before


async def test_ten_thousand_keys(plane: Plane) -> None:
    body = json.dumps({f"k{number}": "" for number in range(5000)})
    assert (await plane.client.patch("/api/settings", content=body, headers=JSON)).status_code in (413, 422)


async def test_the_store_is_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane:
        await plane.store.close()
        response = await plane.client.patch("/api/settings", json={"NUM_URL_PARMS": 2})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert list(problems(response.json())) == ["store"]
        assert len(plane.services.runtime.url_parameters) == 3


async def test_changes_at_once_are_all_kept(plane: Plane) -> None:
    names = {f"URL_PARM{number}": f"name{number}" for number in range(1, 4)}
    await asyncio.gather(*(plane.json("PATCH", "/api/settings", json={name: value}) for name, value in names.items()))
    assert plane.services.runtime.url_parameters == ("name1", "name2", "name3")


async def test_the_page_of_hello_is_not_the_last_word(plane: Plane) -> None:
    """The catalogue is read anew for each request."""
    plane.catalogue.current = view(revision=2)
    assert [one["name"] for one in (await plane.json("GET", "/api/modules"))["modules"]] == ["orphan"]
    plane.catalogue.current = view(hello(), revision=3)
    assert len((await plane.json("GET", "/api/modules"))["modules"]) == 2
