"""Two tenants of one embedded platform, who have everything under the same names and attack each other over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.embedded.server import ADMIN_KEY, ADMIN_UUID, Embedded, running

SOURCE = """
import os
import time
from pathlib import Path

import expose

__alias__ = "same"
kept = []


@expose.endpoint(method="GET", API="who")
def who(nonce: str = ""):
    return [os.environ["OWNER"], nonce]


@expose.endpoint(method="POST", API="keep")
def keep(text: str):
    kept.append(text)
    Path("/tmp/kept").write_text(text)
    print(text)
    return [kept, sorted(os.listdir("/tmp")).count("kept")]


@expose.endpoint(method="GET", API="rest", timeout=20)
def rest(seconds: float):
    time.sleep(seconds)


@expose.endpoint(method="GET", API="facts")
def facts(*, __request__):
    return __request__


@expose.endpoint(method="GET", API="tagged")
def tagged():
    headers = {"ETag": '"one"', "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", "Cache-Control": "public, max-age=9999"}
    return expose.Response(os.environ["OWNER"], headers=headers | {"Vary": "*", "Expires": "0", "Age": "1"})


@expose.endpoint(method="GET", API="page")
def page():
    return expose.Response(PAGE, media_type="text/html", headers={"Set-Cookie": "taken=1; Path=/", "Refresh": "0; url=/"})


@expose.endpoint(method="GET", API="worker")
def worker():
    script = "self.addEventListener('fetch', (event) => event.respondWith(new Response('taken')))"
    return expose.Response(script, media_type="text/javascript", headers={"Service-Worker-Allowed": "/"})


PAGE = '''<!doctype html><title>quiet</title><script>
document.title = "ran";
document.cookie = "taken=1; path=/";
localStorage.setItem("taken", "1");
navigator.serviceWorker.register("../worker/", {scope: "/"});
</script><form action="/" method="POST"></form>'''
"""
HIDDEN = """
import expose

__alias__ = "covert"


@expose.endpoint(method="GET", API="hidden")
def hidden():
    return 1
"""
PYTHON = {"Content-Type": "text/x-python"}


@dataclass(frozen=True)
class Tenant:
    """One of the two: its code, its key, and a client with neither."""

    platform: Embedded
    name: str
    uuid: str
    key: str
    client: httpx.Client

    def call(self, api: str = "who", /, *, method: str = "GET", module: str = "box", **how: Any) -> httpx.Response:
        """The answer of one of its functions to anybody."""
        return self.client.request(method, f"/rest/services/{self.uuid}/{module}/{api}/", **how)

    def api(self, method: str, path: str, **how: Any) -> httpx.Response:
        """An answer of the control plane to its key."""
        headers = {"Authorization": f"Bearer {self.key}"} | how.pop("headers", {})
        return self.client.request(method, f"/api{path}", headers=headers, **how)

    def upload(self, name: str, source: str) -> httpx.Response:
        """What its upload of a module is answered."""
        return self.api("PUT", f"/tenants/{self.uuid}/modules/{name}", content=source, headers=PYTHON)

    def text(self) -> str:
        """All that the control plane shows it, besides what it has used."""
        own = f"/tenants/{self.uuid}"
        paths = ("/modules", "/endpoints", own, f"{own}/modules", f"{own}/environ", f"{own}/token-keys")
        return "".join(self.api("GET", path).text for path in (*paths, f"{own}/modules/box/versions"))


@contextmanager
def registered(platform: Embedded, name: str) -> Iterator[Tenant]:
    """A new tenant, with the module that all have."""
    made = platform.api("POST", "/tenants", json={"name": name}).json()
    with httpx.Client(base_url=platform.url, timeout=60) as client:
        one = Tenant(platform, name, made["uuid"], made["key"], client)
        answer = one.api("PUT", f"/tenants/{one.uuid}/environ/OWNER", json={"value": f"of {name}", "secret": True})
        assert answer.is_success, answer.text
        uploaded = one.upload("box", SOURCE)
        assert uploaded.status_code == 201, uploaded.text
        yield one


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("isolation")
    with running(folder / "plugins", folder / "data") as server:
        yield server


@pytest.fixture(scope="session")
def ada(platform: Embedded) -> Iterator[Tenant]:
    """Who attacks."""
    with registered(platform, "Ada") as one:
        yield one


@pytest.fixture(scope="session")
def bob(platform: Embedded) -> Iterator[Tenant]:
    """Who is attacked. He has what she has, and one module more."""
    with registered(platform, "Bob") as one:
        assert one.upload("secluded", HIDDEN).status_code == 201
        yield one


@pytest.fixture(scope="session")
def admin(platform: Embedded) -> Iterator[Tenant]:
    """The admin, as one whose functions somebody else might be served."""
    with httpx.Client(base_url=platform.url, timeout=60) as client:
        yield Tenant(platform, "admin", ADMIN_UUID, ADMIN_KEY, client)
