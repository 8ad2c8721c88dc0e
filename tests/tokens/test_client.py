"""The Python client over a real connection."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugbay_client import CallFailed, Client, TokenKey
from tests.tokens.small_plugbay import TENANT, SmallPlugbay, small_plugbay


@pytest.fixture
def plugbay() -> Iterator[SmallPlugbay]:
    with small_plugbay() as server:
        yield server


@pytest.fixture
def client(plugbay: SmallPlugbay) -> Client:
    return Client(plugbay.url, str(TENANT), plugbay.key.text())


def test_a_call_gives_what_the_function_returned(client: Client, plugbay: SmallPlugbay) -> None:
    assert client.call("hello", {"name": "Ada"}) == {"name": "Ada"}
    assert client.call("shop") == f"/rest/services/{TENANT}/shop/"
    assert client.call("bytes") == b"\0\1"
    assert client.call("hello", {}, method="PUT") == {}
    methods = [request.partition(" ")[0] for request in plugbay.requests]
    assert methods == ["POST", "GET", "GET", "PUT"]


def test_path_and_query_are_sent_as_they_were_bound(client: Client, plugbay: SmallPlugbay) -> None:
    for api in ("a b", "ä", "a/../b", "%41", "a;b", "a?b", "a#b", "/a//b/"):
        client.call(api, query={"q": ["1", "ü &"], "empty": ""})
    assert plugbay.requests[0] == f"GET /rest/services/{TENANT}/a%20b/?q=1&q=%C3%BC+%26&empty="
    assert plugbay.requests[5].startswith(f"GET /rest/services/{TENANT}/a%3Fb/?")
    assert plugbay.requests[3].startswith(f"GET /rest/services/{TENANT}/%41/?")


def test_each_call_has_a_token_of_its_own_in_many_threads(client: Client, plugbay: SmallPlugbay) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: client.call("hello", {"n": n}), range(40))) == [{"n": n} for n in range(40)]
    assert len(plugbay.seen) == 40


def test_an_error_has_the_answer_and_one_sentence(client: Client) -> None:
    with pytest.raises(CallFailed, match=r"^500: ValueError: no$") as told:
        client.call("raises")
    assert told.value.answer.status == 500
    assert told.value.answer.value()["call"] == "c"


def test_without_a_key_or_with_another_there_is_no_way_in(plugbay: SmallPlugbay) -> None:
    for key in (None, TokenKey.new().text()):
        with pytest.raises(CallFailed, match="401"):
            Client(plugbay.url, str(TENANT), key).call("hello")


def test_a_redirect_is_an_answer_and_is_not_followed(client: Client, plugbay: SmallPlugbay) -> None:
    answer = client.send("GET", "elsewhere")
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:1/")
    assert len(plugbay.requests) == 1


def test_no_proxy_of_the_environment_gets_a_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert client.call("hello", {"a": 1}) == {"a": 1}


def test_nobody_listening_is_an_os_error() -> None:
    with pytest.raises(OSError, match="refused"):
        Client("http://127.0.0.1:1", str(TENANT)).call("hello")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://h", "http://", "http://h?x", "http://h#x"])
def test_what_is_no_address_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        Client(url, str(TENANT))


@pytest.mark.parametrize(
    "text", ["pba_", f"pba_{TENANT.hex}_{'0' * 16}_{'A' * 42}", f"pba_{'0' * 32}_{'0' * 16}_{'A' * 43}"]
)
def test_an_api_key_that_is_none_or_another_s_is_told_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="API key") as told:
        Client("https://plugbay.example", str(TENANT), text)
    assert text not in str(told.value)
