"""The module for browsers and its example page in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.tokens.chromium import Page, chromium
from tests.tokens.make_vectors import VECTORS
from tests.tokens.small_plugbay import TENANT, SmallPlugbay, small_plugbay

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as page:
        yield page


@pytest.fixture
def plugbay() -> Iterator[SmallPlugbay]:
    with small_plugbay() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[SmallPlugbay]:
    with small_plugbay() as server:
        yield server


def click(page: Page, **fields: str) -> str:
    """Fills the form, sends it and gives the answer shown when it is there."""
    return str(
        page.run(
            f"""new Promise((resolve) => {{
              const form = document.querySelector("form");
              const answer = document.querySelector("output[name=answer]");
              for (const [name, value] of Object.entries({json.dumps(fields)})) form.elements[name].value = value;
              new MutationObserver(() => answer.value === "…" || resolve(answer.value))
                .observe(answer, {{childList: true, characterData: true, subtree: true}});
              form.requestSubmit();
            }})"""
        )
    )


def test_the_page_calls_a_function_of_another_origin(
    page: Page, plugbay: SmallPlugbay, elsewhere: SmallPlugbay
) -> None:
    page.complaints.clear()
    page.open(f"{elsewhere.url}/example/index.html")
    about = {"url": plugbay.url, "tenant": str(TENANT), "key": plugbay.key.text()}
    got = click(page, **about, method="GET", api="hello/1/?name=Ada L&x=ü'")
    sent = f"/rest/services/{TENANT}/hello/1/?name=Ada%20L&x=%C3%BC%27"
    assert got == "200\n" + json.dumps({"status": "OK", "response": {"hello": sent}})
    posted = click(page, **about, method="POST", api="hello/", body='{"a": 1}')
    assert json.loads(posted.partition("\n")[2])["response"] == {"hello": {"a": 1}}
    assert plugbay.requests == [f"GET {sent}", f"POST /rest/services/{TENANT}/hello/"]
    assert len(plugbay.seen) == 2
    assert page.complaints == [], "its own policy holds for all that the page does"


def test_the_page_shows_what_is_wrong_and_keeps_the_key_to_itself(page: Page, plugbay: SmallPlugbay) -> None:
    page.open(f"{plugbay.url}/example/index.html")
    about = {"url": plugbay.url, "tenant": str(TENANT), "method": "GET", "api": "hello/"}
    assert "key: pbk_ and 48" in click(page, **about, key="pbk_short")
    assert click(page, **(about | {"tenant": "nobody"}), key=plugbay.key.text()).startswith("TypeError: tenant")
    assert plugbay.requests == []
    assert page.run("[...Object.keys(localStorage), ...Object.keys(sessionStorage), document.cookie].join()") == ""
    assert plugbay.key.text() not in str(page.run("document.documentElement.outerHTML"))


def test_a_policy_without_webassembly_is_told(page: Page, plugbay: SmallPlugbay) -> None:
    """Nothing slower or weaker stands in for it."""
    page.open(f"{plugbay.url}/strict")
    about = f"tenant: '{TENANT}', key: '{plugbay.key.text()}', method: 'GET', url: '/rest/services/a'"
    with pytest.raises(RuntimeError, match="Content Security Policy"):
        page.run(f"import('/plugbay.js').then(({{mint}}) => mint({{{about}}}))")


def test_the_module_makes_the_tokens_of_the_vectors(page: Page, plugbay: SmallPlugbay) -> None:
    sealed = json.loads(VECTORS.read_text(encoding="utf-8"))["sealed"]
    page.open(f"{plugbay.url}/example/index.html")
    made = page.run(
        f"""import("/plugbay.js").then(({{seal}}) => {{
          const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
          return Promise.all({json.dumps(sealed)}.map(
            (one) => seal({{...one, jti: bytes(one.jti), nonce: bytes(one.nonce)}})));
        }})"""
    )
    assert made == [one["token"] for one in sealed]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("method: 'get'", "method"),
        ("key: 'pbk_" + "A" * 47 + "'", "key"),
        ("tenant: '0E3C5F3A-4A3B-4F53-9BE0-30C3D0D9F2A1'", "tenant"),
        ("url: '/api/tenants'", "url"),
    ],
)
def test_a_request_that_cannot_be_is_told_at_once(page: Page, plugbay: SmallPlugbay, change: str, told: str) -> None:
    page.open(f"{plugbay.url}/example/index.html")
    about = f"tenant: '{TENANT}', key: '{plugbay.key.text()}', method: 'GET', url: '/rest/services/a'"
    with pytest.raises(RuntimeError, match=f"TypeError: {told}"):
        page.run(f"import('/plugbay.js').then(({{mint}}) => mint({{{about}, {change}}}))")


def test_what_the_page_mints_is_bound_to_what_fetch_sends(page: Page, plugbay: SmallPlugbay) -> None:
    """Whatever a browser makes of an address, the token is for that; below a proxy's path too."""
    page.open(f"{plugbay.url}/example/index.html")
    addresses = [
        f"/rest/services/{TENANT}/a",
        f"/rest/services/{TENANT}/b/?",
        f"/rest/services/{TENANT}/c/../d?q=a b&\\\"<>`'{{}}|^",
        f"/rest/services/{TENANT}/e?x#fragment",
        f"rest/../../rest/services/{TENANT}/f",
        f"/rest/services/{TENANT}/g?é=日本",
    ]
    for address in addresses:
        status = page.run(
            f"""(async () => {{
              const {{mint}} = await import("/plugbay.js");
              const url = {json.dumps(address)};
              const about = {{tenant: "{TENANT}", key: "{plugbay.key.text()}", method: "GET", url}};
              const answer = await fetch(url, {{headers: {{Authorization: "Token " + await mint(about)}}}});
              return answer.status;
            }})()"""
        )
        assert status == 200, plugbay.requests[-1]
