"""Given the embedded platform, when a further admin is registered, then it is an admin with what is its own, and only that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.embedded.server import ADMIN_UUID, Embedded, running
from tests.waiting import eventually

PYTHON = {"Content-Type": "text/x-python"}
SOURCE = """\
import os
import expose

@expose.endpoint(method="GET")
def seen():
    print("called")
    return {
        "zygote": os.getppid(),
        "processes": len([name for name in os.listdir("/proc") if name.isdecimal()]),
        "uid": os.getuid(),
        "environ": sorted(os.environ),
    }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("admins")
    (folder / "variables.env").write_text("OF_THE_INSTALLATION=1\n")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(SOURCE)
    with running(folder / "plugins", folder / "data", OF_THE_SERVER="1") as server:
        yield server


class Account:
    """An admin or tenant, and a client with its key."""

    def __init__(self, server: Embedded, made: httpx.Response) -> None:
        assert made.status_code == 201, made.text
        self.uuid = made.json()["uuid"]
        self.server = server
        self.client = httpx.Client(
            base_url=f"{server.url}/api", headers={"Authorization": f"Bearer {made.json()['key']}"}, timeout=60
        )

    def deploys(self, owner: str | None = None) -> httpx.Response:
        """Its upload of a module, its own or another's."""
        path = f"/tenants/{owner or self.uuid}/modules/m"
        return self.client.put(path, content=SOURCE, headers=PYTHON)

    def calls(self) -> Any:
        """What its function gives."""
        answer = self.server.get(f"/{self.uuid}/m/seen/")
        assert answer.status_code == 200, answer.text
        return answer.json()["response"]["seen"]


@pytest.fixture
def ada(server: Embedded, request: pytest.FixtureRequest) -> Iterator[Account]:
    """A further admin."""
    name = f"Ada of {request.node.name}"
    one = Account(server, server.api("POST", "/tenants", json={"name": name, "role": "admin"}))
    with one.client:
        yield one


def pool(server: Embedded, uuid: str) -> dict[str, Any] | None:
    return next((one for one in server.api("GET", "/pools").json()["pools"] if one["name"] == uuid), None)


def test_it_is_served_from_a_pool_of_its_own_until_it_is_removed(server: Embedded, ada: Account) -> None:
    with server.plugins.joinpath("hers.py").open("w") as file:
        file.write(f'__ID__ = "{ada.uuid}"\n{SOURCE}')
    assert ada.deploys().status_code == 201
    seen = ada.calls()
    assert not {"OF_THE_INSTALLATION", "OF_THE_SERVER", "ADMIN_KEY", "DATA_DIR"} & {*seen["environ"]}
    first = server.get("/mine/seen/").json()["response"]["seen"]
    assert {"OF_THE_INSTALLATION", "OF_THE_SERVER"} <= {*first["environ"]}
    assert seen["zygote"] != first["zygote"]
    assert seen["uid"] == first["uid"]
    shown = pool(server, ada.uuid)
    assert shown is not None
    assert (shown["kind"], shown["size"]) == ("admins", 1)
    eventually(lambda: server.get(f"/{ada.uuid}/hers/seen/").status_code == 200)
    assert ada.calls()["zygote"] == seen["zygote"]
    assert server.get("/hers/seen/").status_code == 404
    assert [one["text"] for one in ada.client.get("/logs", params={"module": "m"}).json()["records"]] == [
        "called\n"
    ] * 2

    later = server.get(f"/{ada.uuid}/m/seen/", headers={"Prefer": "respond-async"})
    assert later.status_code == 202, later.text
    result = f"{server.url}{later.json()['result']}"
    eventually(lambda: httpx.get(result).status_code == 200)
    assert httpx.get(result).json()["response"]["seen"]["zygote"] == seen["zygote"]

    answer = ada.client.put(f"/tenants/{ada.uuid}/environ/OWN", json={"value": "x"})
    assert answer.status_code == 201
    eventually(lambda: "OWN" in ada.calls()["environ"])
    assert server.api("PUT", f"/pools/{ada.uuid}", json={"size": 2}).json()["size"] == 2
    assert server.api("POST", f"/pools/{ada.uuid}/drain").status_code == 200
    usage = ada.client.get(f"/tenants/{ada.uuid}/usage").json()["days"]
    assert usage[0]["calls"] >= 3

    server.api("PATCH", f"/tenants/{ada.uuid}", json={"status": "disabled"})
    assert server.get(f"/{ada.uuid}/m/seen/").status_code == 403
    assert ada.client.get("/modules").status_code == 403
    eventually(lambda: pool(server, ada.uuid) is None)
    server.api("PATCH", f"/tenants/{ada.uuid}", json={"status": "enabled"})
    assert ada.calls()["zygote"] != seen["zygote"]
    assert server.api("DELETE", f"/tenants/{ada.uuid}").status_code == 204
    assert server.get(f"/{ada.uuid}/m/seen/").status_code == 404
    eventually(lambda: pool(server, ada.uuid) is None)
    assert server.get("/mine/seen/").json()["response"]["seen"]["zygote"] == first["zygote"]


@pytest.fixture
def requiring(server: Embedded) -> Iterator[Callable[[str], None]]:
    """Sets whose calls take a token; none afterwards."""

    def require(whose: str) -> None:
        assert server.api("PATCH", "/settings", json={"REQUIRE_TOKENS": whose}).is_success

    yield require
    require("none")


def test_its_calls_take_tokens_where_those_of_admins_do(
    server: Embedded, ada: Account, requiring: Callable[[str], None]
) -> None:
    assert ada.deploys().status_code == 201
    carl = Account(server, ada.client.post("/tenants", json={"name": "Carl"}))
    carl.client.close()
    path = f"/{ada.uuid}/m/seen/"
    for whose, status in (("tenants", 200), ("all", 401)):
        requiring(whose)
        assert server.get(path).status_code == status
        assert server.get(f"/{carl.uuid}/m/seen/").status_code == 401
    assert ada.client.post(f"/tenants/{ada.uuid}/token-keys").status_code == 201
    wanted = {"method": "GET", "target": f"/rest/services{path}"}

    def passes() -> bool:  # none does in the first seconds of a process
        token = ada.client.post(f"/tenants/{ada.uuid}/tokens", json=wanted).json()["token"]
        return server.get(path, headers={"Authorization": f"Token {token}"}).status_code == 200

    eventually(passes)
    key = ada.client.headers["Authorization"]
    assert server.get(path, headers={"Authorization": key}).status_code == 200
    assert server.get(f"/{carl.uuid}/m/seen/", headers={"Authorization": key}).status_code == 401


@pytest.mark.needs("bubblewrap")
def test_its_tenants_are_served_in_sandboxes_whatever_becomes_of_it(server: Embedded, ada: Account) -> None:
    carl = Account(server, ada.client.post("/tenants", json={"name": "Carl"}))
    with carl.client:
        assert carl.deploys().status_code == 201
        assert ada.deploys(carl.uuid).status_code == 200
        assert carl.calls()["processes"] < 10, "it sees a sandbox of its own"
        shown = pool(server, carl.uuid)
        assert shown is not None
        assert shown["kind"] == "tenants"
        with Account(server, server.api("POST", "/tenants", json={"name": "Bob", "role": "admin"})).client as bob:
            for uuid in (ada.uuid, carl.uuid, ADMIN_UUID):
                assert bob.get(f"/tenants/{uuid}/modules").status_code == 403
            assert [one["name"] for one in bob.get("/tenants").json()["tenants"]] == ["Bob"]
        assert server.api("DELETE", f"/tenants/{ada.uuid}").status_code == 409
        server.api("PATCH", f"/tenants/{ada.uuid}", json={"status": "disabled"})
        assert carl.calls()
        assert carl.client.get(f"/tenants/{carl.uuid}").json()["admin"] == ada.uuid
        server.api("PATCH", f"/tenants/{carl.uuid}", json={"admin": ""})
        assert server.api("DELETE", f"/tenants/{ada.uuid}").status_code == 204
        assert carl.calls()
