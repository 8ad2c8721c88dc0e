"""Section G of the security requirements: the control plane."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.attacks.alive import ADMIN, Attacker
from tests.attacks.tenants import DISABLED, NIL, ONE, OTHER, with_tenants
from tests.attacks.wire import canary, request, statuses
from tests.embedded.server import ADMIN_KEY, ADMIN_UUID, ROOT, Embedded

SECRET = "canary-of-the-environment"

OPERATORS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "sleep(5000)"},
    ["x"],
    1,
    1.5,
    True,
    None,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with with_tenants(tmp_path_factory.mktemp("control"), OWN_SECRET=SECRET) as server:
        yield server


def parameters() -> Iterator[tuple[str, str, str, str]]:
    """Method, path, name and place of every parameter that any route of the control plane takes."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    for path, operations in document["paths"].items():
        if path.startswith("/api/"):
            for method, operation in operations.items():
                for parameter in operation.get("parameters", []):
                    yield method.upper(), path, parameter["name"], parameter["in"]


def test_g6_operators_are_no_values_of_any_parameter(attacker: Attacker) -> None:
    count = 0
    for (method, path, name, place), operator in itertools.product(parameters(), OPERATORS):
        text = json.dumps(operator)
        if place == "path":
            targets = [path.replace(f"{{{name}}}", quote(text, safe=""))]
        else:
            path = path.replace("{name}", "ping")
            key = next(iter(operator)) if isinstance(operator, dict) else "$ne"
            targets = [f"{path}?{name}[{key}]=x"]
            if isinstance(operator, dict | list | float) and (name, operator) != (
                "search",
                1.5,
            ):  # a text like any other
                targets += [f"{path}?{name}={quote(text)}", f"{path}?{name}=1&{name}[]={quote(text)}"]
        for target in targets:
            answer = attacker.request(method, target, headers=ADMIN, json={"size": 1} if method == "PUT" else None)
            assert answer.status_code in (404, 422), (method, target, answer.text)
            assert answer.json()["errors"][0]["field"], answer.text
            count += 1
    assert count > 50


def test_g6_operators_are_no_values_of_any_field(attacker: Attacker) -> None:
    for operator in OPERATORS:
        for method, path, field in (
            ("PUT", "/pools/admin", "size"),
            ("PATCH", "/settings", "NUM_URL_PARMS"),
            ("PATCH", "/settings", "URL_PARM1"),
        ):
            if (operator is None and path == "/settings") or (
                operator == 1 and operator is not True and field != "URL_PARM1"
            ):
                continue  # what that field takes
            answer = attacker.api(method, path, json={field: operator})
            assert answer.status_code == 422, (path, field, operator, answer.text)
            assert answer.json()["errors"][0]["field"].split(".")[0] in (field, "body"), answer.text
        answer = attacker.api("PUT", "/pools/admin", json=operator)
        assert answer.status_code == 422, (operator, answer.text)


def test_g7_g9_names_that_are_no_fields_are_refused(attacker: Attacker) -> None:
    before = attacker.api("GET", "/settings").json()
    names = ["$set", "a.b", "\0", "__proto__", "", "_id", "role", "status", "key", "owner", "created", "ADMIN_KEY"]
    names += ["url_parm1", "URL_PARM0", "URL_PARM101", "URL_PARM01", "URL_PARM1\n", "URL_PARM１", "MAX_QUEUE"]
    for name in names:
        assert attacker.api("PATCH", "/settings", json={name: "x"}).status_code == 422, name
        assert attacker.api("PATCH", "/settings", json={"URL_PARM1": "fine", name: "x"}).status_code == 422, name
        assert attacker.api("PUT", "/pools/admin", json={"size": 1, name: "x"}).status_code == 422, name
        if name.isprintable():
            assert attacker.api("GET", "/pools", params={name or "x": "x"}).status_code == 422, name
    nested: Any = "x"
    for _ in range(900):
        nested = {"a": nested}
    for body in (
        {f"URL_PARM{number}": "x" for number in range(5000)},
        {"URL_PARM1": nested},
        {"URL_PARM1": "x" * 60_000},
    ):
        assert attacker.api("PATCH", "/settings", json=body).status_code in (413, 422)
    for content in (
        b"{" * 30_000,
        b"[" * 60_000,
        b'{"size":1,"size":99}',
        b"\xff",
        b'{"size":1e400}',
        b"NaN",
        b"x" * 70_000,
    ):
        answer = attacker.request(
            "PUT", "/api/pools/admin", headers=ADMIN | {"Content-Type": "application/json"}, content=content
        )
        assert answer.status_code in (400, 413, 422), (content[:30], answer.text)
    assert attacker.api("GET", "/settings").json() == before


def test_g8_queries_of_lists_are_numbers_and_names(attacker: Attacker) -> None:
    for query in (
        *(f"limit={value}" for value in ("-1", "0", "1e9", "NaN", "1e400", "501", "", "1;2", "０", "0x1", "99" * 999)),
        *(f"cursor={value}" for value in ("../x", "%00", "a/b", "$where", "-1", "1e9", "x" * 300)),
        *("status[$ne]=x", "sort=$where", "limit[$gt]=1", "$where=1", "limit=1&limit=2&x=1"),
    ):
        for path in ("/modules", "/endpoints", "/logs"):
            answer = attacker.api("GET", f"{path}?{query}")
            if "cursor" in query and path != "/logs" and answer.status_code == 200:
                continue  # a name like any other: what comes after it is listed
            assert answer.status_code == 422, (path, query, answer.text[:200])


def test_g11_a_uuid_cannot_be_chosen_and_a_name_is_taken_once(attacker: Attacker) -> None:
    before = attacker.api("GET", "/tenants").json()
    for uuid in (OTHER, NIL, ADMIN_UUID):
        answer = attacker.api("POST", "/tenants", json={"name": "Eve", "uuid": uuid})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "uuid")
    for uuid in (NIL, ADMIN_UUID):
        for method, path in (
            ("PUT", "/modules/x"),
            ("DELETE", ""),
            ("PATCH", ""),
            ("POST", "/key"),
            ("PUT", "/environ/KEY"),
        ):
            assert attacker.api(method, f"/tenants/{uuid}{path}", json={}).status_code == 404, (method, path)
    assert attacker.api("GET", "/tenants").json() == before
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: attacker.api("POST", "/tenants", json={"name": "Eve"}), range(50)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
    [made] = attacker.api("GET", "/tenants?search=eve").json()["tenants"]
    assert attacker.api("DELETE", f"/tenants/{made['uuid']}").status_code == 204
    assert attacker.api("GET", "/tenants").json() == before


ROUTES = [
    *(("GET", f"/api/{name}") for name in ("modules", "modules/ping", "endpoints", "pools", "settings", "logs")),
    *((method, f"/api/tenants/{OTHER}") for method in ("GET", "PATCH", "DELETE")),
    *(("GET", "/api/tenants"), ("POST", "/api/tenants"), ("POST", f"/api/tenants/{OTHER}/key")),
    *(("PUT", f"/api/tenants/{OTHER}/modules/x"), ("DELETE", f"/api/tenants/{OTHER}/modules/x")),
    *(("PUT", "/api/pools/admin"), ("PATCH", "/api/settings"), ("GET", "/api/nothing"), ("GET", "/api")),
]


def test_g12_without_the_key_every_route_says_401(attacker: Attacker) -> None:
    key = ADMIN_KEY.encode()
    for method, path in ROUTES:
        for headers in (
            [],
            [b""],
            [b"Bearer"],
            [b"Bearer "],
            [b"Basic " + key],
            [b"Bearer  " + key],
            [b"Bearer " + key[:-1]],
            [b"Bearer " + key + b"x"],
            [b"Bearer " + key.upper()],
            [b"Bearer " + key + b", Bearer x"],
            [b"Bearer " + key, b"Bearer " + key],
            [b"Bearer \xff\xfe"],
            ["Bearer ｋey".encode()],
            [b"Bearer " + OTHER.encode()],
            [key],
        ):
            lines = [b"Authorization: " + value for value in headers]
            found = attacker.exchange(request(path.encode(), *lines, b"Connection: close", method=method.encode()))
            assert statuses(found) == [401], (method, path, headers, found)
            assert found[0].headers["www-authenticate"] == "Bearer"
    for value, status in ((b"Bearer " + b"x" * 1_000_000, 431), (b"Bearer \x00", 400)):
        data = request(b"/api/pools", b"Authorization: " + value)
        assert statuses(attacker.exchange(data, canary())) == [status]
    for elsewhere in (b"?Authorization=Bearer%20" + key, b"?key=" + key):
        assert attacker.exchange(request(b"/api/pools" + elsewhere, b"Connection: close"))[0].status == 401
    assert attacker.client.get(f"{attacker.url}/api/pools", auth=("Bearer", ADMIN_KEY)).status_code == 401
    assert attacker.request("GET", "/api/pools", headers={"Cookie": f"Authorization={ADMIN_KEY}"}).status_code == 401
    assert attacker.api("GET", "/pools").status_code == 200


def test_g13_every_form_of_a_request_is_answered_like_the_plain_one(attacker: Attacker) -> None:
    def status(method: bytes, path: bytes, *headers: bytes, keyed: bool) -> int:
        key = [b"Authorization: Bearer " + ADMIN_KEY.encode()] if keyed else []
        return attacker.exchange(request(path, *key, *headers, b"Connection: close", method=method))[0].status

    for keyed, plain in ((False, 401), (True, 200)):
        assert status(b"GET", b"/api/pools", keyed=keyed) == plain
        assert status(b"GET", b"/api/pools/", keyed=keyed) == plain
        assert attacker.request("HEAD", "/api/pools", headers=ADMIN if keyed else {}).status_code == plain
        for name in (b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override", b"_method"):
            assert status(b"GET", b"/api/pools", name + b": DELETE", keyed=keyed) == plain
            assert status(b"POST", b"/api/pools", name + b": GET", keyed=keyed) == (405 if keyed else 401)
        for name in (b"X-Original-URL", b"X-Rewrite-URL", b"X-Forwarded-Prefix", b"X-Forwarded-Path", b"Forwarded"):
            assert status(b"GET", b"/healthz", name + b": /api/pools", keyed=keyed) == 200
            assert status(b"GET", b"/api/pools", name + b": /healthz", keyed=keyed) == plain
    for path in (
        b"//api/pools",
        b"/api/../api/pools",
        b"/API/pools",
        b"/api//pools",
        b"/api/./pools",
        b"/api/pools%20",
    ):
        assert status(b"GET", path, keyed=False) == 401
        assert status(b"GET", path, keyed=True) in (400, 404)


def test_g14_a_pool_has_a_size_within_its_bounds(attacker: Attacker) -> None:
    sizes: list[Any] = [-1, 0, 10**9, 17, 1.5, 1.0, True, False, "1", "1;rm", None, [], [1], {}, 10**400]
    for size in sizes:
        answer = attacker.api("PUT", "/pools/admin", json={"size": size})
        assert answer.status_code == 422, (size, answer.text)
        assert answer.json()["errors"][0]["field"] == "size"
    for name in ("nothing", OTHER, "ADMIN", "admin%00", "..", "admin;x", "$where"):
        assert attacker.api("PUT", f"/pools/{name}", json={"size": 1}).status_code == 404, name
    assert (attacker.pool()["size"], len(attacker.pool()["runners"])) == (1, 1)


def test_g17_no_secret_is_anywhere_but_where_it_belongs(attacker: Attacker) -> None:
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/healthz", "/readyz", "/nothing", "/readme"):
        assert SECRET not in attacker.request("GET", path).text
    for path in ("/settings", "/pools", "/modules", "/endpoints", "/logs", "/nothing"):
        assert SECRET not in attacker.api("GET", path).text
    attacker.post(b"{", path="/given/all/")
    attacker.get("/given/nothing/")
    server = attacker.server
    for secret in (SECRET, ADMIN_KEY):
        places = [str(server.data), str(server.temporary), str(server.plugins)]
        found = subprocess.run(["grep", "-ralF", secret, *places], capture_output=True, text=True, check=False)
        assert (found.returncode, found.stdout) == (1, "")
        assert secret not in server.log
        assert secret not in server.banner
    for file in server.data.rglob("*"):
        assert not file.stat().st_mode & 0o077 or file.is_dir(), f"{file} can be read by others"


def test_g18_open_pages_name_no_tenant_and_load_nothing_from_elsewhere(attacker: Attacker) -> None:
    attacker.get(f"/{OTHER}/hidden/secret/")
    for path in ("/metrics", "/healthz", "/readyz", "/docs", "/openapi.json", "/"):
        answer = attacker.request("GET", path)
        assert answer.status_code == 200
        for uuid in (ONE, OTHER, DISABLED):
            assert uuid not in answer.text
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//(?!127\.0\.0\.1)""", answer.text), path
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_g19_logs_and_files_are_looked_up_and_never_opened(attacker: Attacker) -> None:
    for path in (
        "/api/logs?file=..%2f..%2fetc/passwd",
        "/api/logs?call=..%2f..%2fetc%2fpasswd",
        "/api/logs?module=../../etc/passwd",
        "/api/logs/../../etc/passwd",
        "/api/logs/%2e%2e/%2e%2e/etc/passwd",
        "/api/logs/..%2f..%2fetc%2fpasswd",
        "/api/modules/..%2f..%2fetc%2fpasswd",
        "/api/modules/../../etc/passwd",
    ):
        found = attacker.exchange(
            request(path.encode(), b"Authorization: Bearer " + ADMIN_KEY.encode(), b"Connection: close")
        )
        assert statuses(found) in ([404], [422]), (path, found)
    for path in (
        *("/assets/../page.html", "/assets/..%2fpage.html", "/assets/%2e%2e/.env", "/assets/page.html", "/assets/.env"),
        *("/assets//etc/passwd", "/assets/", "/assets/page.css%00.js", "/assets/docs.html", "/readme/../.env", "/.env"),
        *("/.env.local", "/data/plugbay.sqlite", "/README.md", "/docs/", "/static/../.env", "/.git/config"),
    ):
        found = attacker.exchange(request(path.encode(), b"Connection: close"))
        assert statuses(found) == [404] or path == "/docs/", (path, found)
