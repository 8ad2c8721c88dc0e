"""A browser that has been at one tenant's page: nothing of it stays, and nothing of it reaches another's place or the platform's.

All tenants have one origin (row E14). What headers a tenant may set is in tests/gateway/test_headers.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.isolation.conftest import Tenant
from tests.tokens.chromium import Page, chromium

pytestmark = [pytest.mark.needs("bubblewrap"), pytest.mark.needs("chromium")]

TRIED = """
(async () => {
  const tried = async (what) => { try { return String(await what()); } catch (error) { return error.name; } };
  return {
    origin: self.origin,
    cookie: await tried(() => document.cookie = "taken=1; path=/"),
    kept: await tried(() => localStorage.setItem("taken", "1")),
    database: await tried(() => indexedDB.open("taken").readyState),
    worker: await tried(() => navigator.serviceWorker.register("../worker/", {scope: "/"})),
    caches: await tried(() => caches.open("taken")),
    api: await tried(async () => (await fetch("/api/modules", {credentials: "include"})).status),
  };
})()
"""
LEFT = """
(async () => ({
  cookie: document.cookie,
  kept: localStorage.length,
  databases: (await indexedDB.databases()).length,
  workers: (await navigator.serviceWorker.getRegistrations()).length,
  caches: (await caches.keys()).length,
}))()
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as page:
        yield page


def test_e14_a_tenants_page_runs_nothing_and_leaves_nothing(page: Page, ada: Tenant, bob: Tenant) -> None:
    page.open(f"{ada.platform.url}/rest/services/{ada.uuid}/same/page/")
    assert page.run("document.title") == "quiet"
    assert page.run("location.pathname").startswith(f"/rest/services/{ada.uuid}/")
    page.open(f"{ada.platform.url}/rest/services/{bob.uuid}/same/who/")
    assert page.run("document.body.innerText").count("of Bob") == 1
    page.open(f"{ada.platform.url}/")
    assert page.run(LEFT) == {"cookie": "", "kept": 0, "databases": 0, "workers": 0, "caches": 0}


def test_e14_not_even_code_in_it_would_have_the_origin(page: Page, ada: Tenant) -> None:
    """As if the policy let scripts of hers run: they would be nobody's."""
    page.open(f"{ada.platform.url}/rest/services/{ada.uuid}/same/page/")
    tried = page.run(TRIED)
    assert tried.pop("origin") == "null"
    assert tried == dict.fromkeys(tried, "SecurityError") | {"api": "TypeError"}
