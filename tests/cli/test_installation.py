"""Given the files of a checkout, when the tool looks for Plugbay, then it finds the address and the key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import installation
from cli.installation import Installation
from cli.problem import Problem
from cli.server import Server
from tests.cli.conftest import FakePlugbay


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("example.org", "http://example.org:8080"),
    ],
)
def test_the_address_to_listen_on_becomes_one_to_connect_to(host: str, url: str) -> None:
    assert Installation(Path("/"), {"GATEWAY_HOST": host}).url == url


def test_the_later_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=1\nADMIN_KEY=a\nPLUGINS=p:/q\n")
    (tmp_path / ".env.local").write_text("GATEWAY_PORT=2\nADMIN_KEY=b\n")
    here = installation.load(tmp_path, {"GATEWAY_PORT": "3"})
    assert (here.port, here.admin_key) == ("3", "b")
    assert here.plugins == [tmp_path / "p", Path("/q")]
    assert here.data_dir == tmp_path / "data"


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LOG_LEVEL=\xff\n")
    with pytest.raises(Problem, match="env is not UTF-8 \\(byte 10\\): save it as UTF-8"):
        installation.load(tmp_path, {})


def test_nothing_there(tmp_path: Path) -> None:
    here = installation.load(tmp_path, {})
    assert (here.url, here.admin_key, here.plugins) == ("http://127.0.0.1:8080", None, [tmp_path / "plugins"])


@pytest.fixture
def without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUGBAY_KEY", raising=False)


@pytest.mark.usefixtures("without_key")
def test_the_installations_own_key_goes_to_this_machine(plugbay: FakePlugbay) -> None:
    plugbay.answers_json("GET", "/api/pools", {})
    Server(Installation(Path("/"), {"ADMIN_KEY": "own"}), plugbay.url).control("GET", "/api/pools")
    assert plugbay.last.headers["authorization"] == "Bearer own"


@pytest.mark.usefixtures("without_key")
def test_and_to_its_own_address_but_no_other_machine(monkeypatch: pytest.MonkeyPatch, plugbay: FakePlugbay) -> None:
    # Both names lead to the test's server, as a proxy.
    monkeypatch.setenv("HTTP_PROXY", plugbay.url)
    own = Installation(Path("/"), {"ADMIN_KEY": "own", "GATEWAY_HOST": "plugbay.test", "GATEWAY_PORT": "80"})
    for url in (own.url, "http://other.test:80"):
        plugbay.answers_json("GET", f"{url.removesuffix(':80')}/api/pools", {})
        Server(own, url).control("GET", "/api/pools")
    assert [request.headers.get("authorization") for request in plugbay.requests] == ["Bearer own", None]


def test_no_proxy_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch, plugbay: FakePlugbay) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    plugbay.answers_json("GET", "/api/pools", {"pools": []})
    assert Server(Installation(Path(os.sep), {}), plugbay.url).control("GET", "/api/pools") == {"pools": []}
