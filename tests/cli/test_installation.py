"""Given the files of a checkout, when the tool looks for Plugbay, then it finds the address and the key."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cli import installation
from cli.installation import Installation
from cli.problem import NotAnswering, Problem
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


STACK = {"MONGO_PASSWORD": "made by ./docker-up.sh"}


@pytest.mark.parametrize(
    ("values", "urls"),
    [
        ({}, ["http://127.0.0.1:8080"]),
        ({"HTTP_PORT": "9000"}, ["http://127.0.0.1:8080"]),
        (STACK, ["http://127.0.0.1:8080"]),
        (STACK | {"HTTP_PORT": "9000"}, ["http://127.0.0.1:9000", "http://127.0.0.1:8080"]),
        (STACK | {"HTTP_HOST": "0.0.0.0", "TLS_CERT": "c.pem"}, ["https://127.0.0.1:8080", "http://127.0.0.1:8080"]),
        (STACK | {"HTTP_HOST": "::1"}, ["http://[::1]:8080", "http://127.0.0.1:8080"]),
    ],
)
def test_the_stack_is_looked_for_where_it_was_started(values: dict[str, str], urls: list[str]) -> None:
    assert Installation(Path("/"), values).urls == urls


def port_of(plugbay: FakePlugbay) -> str:
    return plugbay.url.rpartition(":")[2]


def test_what_runs_is_found(plugbay: FakePlugbay) -> None:
    stack = STACK | {"HTTP_PORT": port_of(plugbay), "GATEWAY_PORT": "1"}
    embedded = STACK | {"HTTP_PORT": "1", "GATEWAY_PORT": port_of(plugbay)}
    for values in (stack, embedded):
        assert Server(Installation(Path("/"), values), None).url == plugbay.url
    assert Server(Installation(Path("/"), stack), "http://127.0.0.1:2").url == "http://127.0.0.1:2"


def test_what_does_not_run_is_told_by_its_script() -> None:
    values = {"HTTP_PORT": "1", "GATEWAY_PORT": "2"}
    for installation_values, script in ((values, "./runserver.sh"), (values | STACK, "./docker-up.sh")):
        with pytest.raises(NotAnswering, match=f"start it with {script}"):
            Server(Installation(Path("/"), installation_values), None).control("GET", "/api/pools")


def certificate(folder: Path, name: str) -> Path:
    """A self-signed one with its key in one file, as `openssl` makes it."""
    file = folder / name
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = [*command, "-subj", "/CN=plugbay.example", "-days", "1", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(made, check=True, capture_output=True)
    with file.open("a") as whole:
        whole.write(Path(f"{file}.crt").read_text())
    return file


@pytest.mark.usefixtures("without_key")
def test_the_stacks_own_certificate_is_believed_and_no_other(tmp_path: Path, plugbay: FakePlugbay) -> None:
    plugbay.answers_json("GET", "/api/pools", {"pools": []})
    served, other = certificate(tmp_path, "served.pem"), certificate(tmp_path, "other.pem")
    with plugbay.over_tls(served) as port:
        values = STACK | {"HTTP_PORT": port, "GATEWAY_PORT": "1", "ADMIN_KEY": "own"}
        here = Installation(tmp_path, values | {"TLS_CERT": "served.pem"})
        assert Server(here, None).control("GET", "/api/pools") == {"pools": []}
        assert plugbay.last.headers["authorization"] == "Bearer own"
        with pytest.raises(Problem, match="CERTIFICATE_VERIFY_FAILED"):
            Server(Installation(tmp_path, values | {"TLS_CERT": str(other)}), None).control("GET", "/api/pools")
        with pytest.raises(Problem, match=r"TLS_CERT: .*nowhere\.pem cannot be read"):
            Server(Installation(tmp_path, values | {"TLS_CERT": "nowhere.pem"}), None)


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
