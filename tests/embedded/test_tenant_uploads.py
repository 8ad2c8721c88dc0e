"""Given the embedded platform and bubblewrap, when a tenant is registered, then its modules are uploaded and called."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from tests.embedded.server import Embedded, running
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

PYTHON = {"Content-Type": "text/x-python"}
SOURCE = """\
import os
import expose

@expose.endpoint(method="GET|POST")
def whoami(said: str = ""):
    return {"environ": sorted(os.environ), "said": said}
"""

SHOP = """\
import json
from pathlib import Path

import expose
import msgspec
from slug import slug

PRICES = (Path(__file__).parent / "prices.csv").read_text()

@expose.endpoint(method="GET")
def price(name: str):
    return [slug(name), PRICES]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("tenants")
    with running(folder / "plugins", folder / "data") as server:
        yield server


def register(server: Embedded, name: str) -> tuple[str, httpx.Client]:
    """A new tenant's UUID, and a client with its key."""
    made = server.api("POST", "/tenants", json={"name": name})
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    return made.json()["uuid"], httpx.Client(base_url=f"{server.url}/api/tenants", headers=headers, timeout=60)


def runners(server: Embedded, uuid: str) -> int:
    """How many runners the tenant has."""
    pools = server.api("GET", "/pools").json()["pools"]
    return sum(len(pool["runners"]) for pool in pools if pool["name"] == uuid)


def test_an_upload_is_called_until_its_tenant_is_removed(server: Embedded) -> None:
    uuid, tenant = register(server, "Ada")
    with tenant:
        broken = tenant.put(f"/{uuid}/modules/who", content="import socket\nsocket.socket()\n", headers=PYTHON)
        assert (broken.status_code, "line 2" in broken.json()["status"]) == (422, True), broken.text
        uploaded = tenant.put(f"/{uuid}/modules/who", content=SOURCE, headers=PYTHON)
        assert uploaded.status_code == 201, uploaded.text
    answer = server.post(f"/{uuid}/who/whoami/", json={"said": "hi"})
    assert answer.status_code == 200, answer.text
    said = answer.json()["response"]["whoami"]
    assert said["said"] == "hi"
    assert not {"ADMIN_KEY", "DATA_DIR"} & set(said["environ"])
    assert server.get("/who/whoami/").status_code == 404
    assert runners(server, uuid) == 1

    server.api("PATCH", f"/tenants/{uuid}", json={"status": "disabled"})
    assert server.get(f"/{uuid}/who/whoami/").status_code == 403
    eventually(lambda: not runners(server, uuid))
    server.api("PATCH", f"/tenants/{uuid}", json={"status": "enabled"})
    assert server.get(f"/{uuid}/who/whoami/").status_code == 200
    assert server.api("DELETE", f"/tenants/{uuid}").status_code == 204
    assert server.get(f"/{uuid}/who/whoami/").status_code == 404
    eventually(lambda: not runners(server, uuid))


def test_j7_a_bundle_brings_its_data_and_what_it_depends_on(server: Embedded) -> None:
    uuid, tenant = register(server, "Zoe")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("shop/__init__.py", SHOP)
        writing.writestr("shop/prices.csv", "tea,3")
        writing.writestr("shop/json.py", "raise SystemExit")
        writing.writestr("shop/vendored/slug.py", "import json\ndef slug(text): return json.dumps(text.lower())\n")
        writing.writestr("shop/vendored/json.py", "raise SystemExit")
        writing.writestr("shop/vendored/msgspec.py", "raise SystemExit")
    with tenant:
        uploaded = tenant.put(
            f"/{uuid}/modules/shop", content=made.getvalue(), headers={"Content-Type": "application/zip"}
        )
        assert uploaded.status_code == 201, uploaded.text
    answer = server.get(f"/{uuid}/shop/price/?name=TEA")
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"]["price"] == ['"tea"', "tea,3"]


def test_a_file_of_a_tenant_serves(server: Embedded) -> None:
    uuid, tenant = register(server, "Bob")
    tenant.close()
    file = server.plugins / "filed.py"
    file.write_text(f'__ID__ = "{uuid}"\n{SOURCE}')
    eventually(lambda: server.get(f"/{uuid}/filed/whoami/").status_code == 200)
    assert server.get("/filed/whoami/").status_code == 404
    file.unlink()
    eventually(lambda: server.get(f"/{uuid}/filed/whoami/").status_code == 404)


def test_changes_of_tenants_are_lines_of_the_log(server: Embedded) -> None:
    uuid, tenant = register(server, "Eve")
    tenant.close()
    server.api("DELETE", f"/tenants/{uuid}")
    eventually(lambda: f'"what":"tenant removed","from":"127.0.0.1","tenant":"{uuid}"' in server.log)
