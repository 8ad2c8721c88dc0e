"""Given nginx that asks a sign-in service, when it knows somebody, nobody, or is away, then that is what calls are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.embedded.server import Embedded, running
from tests.stack.nginx import SECRET, have_image, nginx
from tests.stack.sign_in_service import SignInService, sign_in_service
from tests.stack.upstream import Upstream, refused_port

pytestmark = pytest.mark.needs("docker")

CALL = "/rest/services/shown/request/"
MODULE = """
import expose

@expose.endpoint(method="GET|POST")
def request(__request__):
    return __request__
"""
LIES = {
    "X-Plugbay-Proxy": "guess known",
    "X-Auth-Request-User": "root",
    "X-Auth-Request-Email": "root@example.com",
    "X-Auth-Request-Groups": "wheel",
    "X-Forwarded-User": "root",
    "Remote-User": "root",
}
METHODS = ["GET", "POST", "PUT", "DELETE"]


@dataclasses.dataclass
class Behind:
    """A gateway whose calls all take somebody signed in, behind nginx and a sign-in service."""

    service: SignInService
    client: httpx.Client
    gateway: Embedded

    def ask(self, session: int | None = None, method: str = "GET", path: str = CALL, **headers: str) -> httpx.Response:
        """A request of whom the service answers so."""
        cookie = {} if session is None else {"Cookie": f"a=1; _plugbay_session={session}"}
        return self.client.request(method, path, headers=LIES | cookie | headers)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    have_image()
    folder = tmp_path_factory.mktemp("behind")
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "shown.py").write_text(MODULE)
    settings = {"PROXY_SECRET": SECRET, "REQUIRE_SIGN_IN": "all"}
    with running(plugins, folder / "data", **settings) as gateway, sign_in_service() as service:
        port = httpx.URL(gateway.url).port
        assert port is not None
        with nginx(folder, port, sign_in=service.port) as client:
            yield Behind(service, client, gateway)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_function_is_told_who_is_signed_in_and_no_lie(behind: Behind, method: str) -> None:
    answer = behind.ask(202, method, Authorization="Bearer of-the-provider")
    assert answer.status_code == 200
    request = answer.json()["response"]["request"]
    assert request["identity"] == {"user": "ann-1", "email": "ann@example.com", "groups": ["staff", "admins"]}
    assert request["headers"]["cookie"] == "a=1"
    for hidden in ("root", "wheel", SECRET, "of-the-provider"):
        assert hidden not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("session", "status"),
    [
        (None, 401),
        (401, 401),
        (403, 403),
        (500, 503),
        (0, 503),
        (200, 503),
        (204, 503),
        (302, 503),
        (307, 503),
        (418, 503),
    ],
)
def test_whoever_is_not_known_does_not_pass(behind: Behind, method: str, session: int | None, status: int) -> None:
    assert behind.ask(session, method).status_code == status


def test_a_browser_is_sent_to_sign_in_and_back(behind: Behind) -> None:
    answer = behind.ask(path=f"{CALL}?a=1", Accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/oauth2/start?rd={CALL}%3Fa%3D1")
    page = behind.ask(path=answer.headers["location"])
    assert (page.status_code, page.text) == (200, "a page of the service")
    assert behind.service.requests[-1][:2] == ("GET", f"/oauth2/start?rd={CALL}%3Fa%3D1")


def test_the_service_is_told_no_secret_and_no_lie(behind: Behind) -> None:
    lies = {"X-Auth-Request-Redirect": "https://evil.example", "X-Forwarded-Host": "evil.example"}
    for path in (CALL, "/oauth2/callback?code=1"):
        behind.ask(202, path=path, **lies)
        headers = behind.service.last
        assert headers["x-forwarded-host"] == headers["host"] == behind.client.base_url.netloc.decode()
        assert (headers["x-real-ip"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
        assert headers["cookie"].endswith("_plugbay_session=202")
        assert not {"x-plugbay-proxy", "x-auth-request-redirect", "x-forwarded-uri"} & headers.keys()
    behind.ask(202, "POST")
    assert behind.service.requests[-1][:2] == ("GET", "/oauth2/auth")


def test_what_is_no_call_asks_nobody(behind: Behind) -> None:
    before = len(behind.service.requests)
    assert behind.ask(path="/healthz").status_code == 200
    assert behind.ask(path="/api/pools").status_code == 401
    asked = behind.ask(202, path="/=who")
    assert (asked.status_code, "x-auth-request-user" in asked.headers) == (204, False)
    assert len(behind.service.requests) == before


def test_whoever_reaches_the_gateway_itself_is_nobody(behind: Behind) -> None:
    for headers in (LIES, {"X-Auth-Request-User": "root"}, {"Cookie": "_plugbay_session=202"}):
        assert httpx.get(behind.gateway.url + CALL, headers=headers).status_code == 503


@pytest.mark.parametrize("spelling", ["/rest/services/../services/shown/request/", "/rest/%73ervices/shown/request/"])
def test_no_spelling_of_a_path_passes(behind: Behind, spelling: str) -> None:
    answer = behind.client.get(httpx.URL(str(behind.client.base_url), raw_path=spelling.encode()))
    assert answer.status_code in (400, 401, 404)


def test_where_the_service_is_away_nothing_passes(behind: Behind, tmp_path: Path) -> None:
    port = httpx.URL(behind.gateway.url).port
    assert port is not None
    with nginx(tmp_path, port, sign_in=refused_port()) as client:
        for method in METHODS:
            answer = client.request(method, CALL, headers={"Cookie": "_plugbay_session=202"} | LIES)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert client.get("/oauth2/start").json() == {"status": "the sign-in service does not answer"}
        assert client.get("/healthz").status_code == 200


def test_what_nginx_says_of_each_answer(tmp_path: Path) -> None:
    said = {None: "nobody", 202: "known", 401: "nobody", 403: "refused", 500: "away", 0: "away", 200: "away"}
    have_image()
    with (
        Upstream() as upstream,
        sign_in_service() as service,
        nginx(tmp_path, upstream.port, sign_in=service.port) as ask,
    ):
        for session, word in said.items():
            for method in METHODS:
                cookie = {} if session is None else {"Cookie": f"_plugbay_session={session}"}
                assert ask.request(method, CALL, headers=LIES | cookie).status_code == 200
                lines = upstream.requests[-1].decode().split("\r\n")
                assert f"X-Plugbay-Proxy: {SECRET} {word}" in lines
                claims = [line for line in lines if line.startswith("X-Auth-Request")]
                assert claims == (
                    [
                        "X-Auth-Request-User: ann-1",
                        "X-Auth-Request-Email: ann@example.com",
                        "X-Auth-Request-Groups: staff,admins",
                    ]
                    if word == "known"
                    else []
                )


def test_without_a_service_nginx_says_nothing_of_who_is_signed_in(tmp_path: Path) -> None:
    have_image()
    with Upstream() as upstream, nginx(tmp_path, upstream.port) as ask:
        assert ask.get(CALL, headers=LIES).status_code == 200
        assert f"X-Plugbay-Proxy: {SECRET}" in upstream.requests[-1].decode().split("\r\n")
