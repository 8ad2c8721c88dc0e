"""The stack as its settings say: TLS, several plugin folders, many URL parameters, several gateways."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from settings import Settings
from tests.stack.checkout import GATEWAYS, Checkout, make_certificate
from tests.stack.stack import ROOT

pytestmark = pytest.mark.needs("docker")

LIVE_SECS = 15
GET = """
import sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:8080" + sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
try:
    print(urllib.request.urlopen(request, timeout=30).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


def from_each_gateway(checkout: Checkout, path: str) -> list[str]:
    """What each gateway itself answers, without nginx."""
    key = checkout.secrets["ADMIN_KEY"]
    gateways = checkout.containers("gateway")
    return [checkout.within(gateway, "python3", "-P", "-c", GET, path, key)[1].strip() for gateway in gateways]


def until_each(checkout: Checkout, path: str, fits: Callable[[str], bool]) -> None:
    until = time.monotonic() + LIVE_SECS
    while True:
        answers = from_each_gateway(checkout, path)
        if all(fits(answer) for answer in answers):
            return
        assert time.monotonic() < until, answers


def test_it_speaks_https_alone(checkout: Checkout) -> None:
    with checkout.client() as client:
        assert client.get("/rest/services/hello-world/").status_code == 200
    plain = httpx.get(checkout.url.replace("https", "http") + "/rest/services/hello-world/", timeout=30)
    assert plain.status_code == 400
    assert plain.json() == {"status": "this port speaks HTTPS: begin the address with https://"}


def test_a_key_that_nginx_cannot_read_is_named_with_the_fix(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch(mode=0o600)
    mounts = {
        checkout.root / "nginx": "/etc/plugbay",
        checkout.certificate: "/run/tls/cert.pem",
        tmp_path / "key.pem": "/run/tls/key.pem",
    }
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", "none", "--user", "64003:64003", "--tmpfs", "/tmp"),
            *("--env", "PROXY_SECRET=none", "--entrypoint", "sh"),
            *(f"--volume={source}:{target}:ro" for source, target in mounts.items()),
            *(os.environ.get("NGINX_IMAGE", "nginx:1.28-alpine"), "/etc/plugbay/start.sh"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr == (
        "plugbay: TLS_CERT, TLS_KEY: user id 64003 cannot read the key: chgrp 64003 the file and chmod 640\n"
    )


def test_a_renewed_certificate_counts_once_nginx_restarts(checkout: Checkout, tmp_path: Path) -> None:
    make_certificate(tmp_path / "tls")
    for file in (tmp_path / "tls").iterdir():
        shutil.copy(file, checkout.certificate.with_name("new"))
        checkout.certificate.with_name("new").replace(checkout.certificate.with_name(file.name))
    done = checkout.run("docker-restart.sh", "nginx")
    assert done.returncode == 0, done.stderr
    until = time.monotonic() + LIVE_SECS
    while True:
        try:
            assert checkout.call("add/1/2") == 3
            return
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_compose_may_be_a_program_of_its_own(checkout: Checkout, tmp_path: Path) -> None:
    docker = shutil.which("docker")
    for name, script in {
        "docker": f'[ "$1" != compose ] || exit 1\nexec {docker} "$@"',
        "docker-compose": f'exec {docker} compose "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = checkout.run("docker-logs.sh", "host", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert f"host {checkout.project} takes calls" in done.stdout


def test_the_operator_reads_where_it_is(checkout: Checkout) -> None:
    first, *rest = checkout.said.splitlines()
    assert first == f"Plugbay is ready at {checkout.url}"
    assert f"  plugins  {checkout.plugins}" in rest
    assert f"  plugins  {checkout.more}" in rest
    assert f"  try      curl --insecure {checkout.url}/rest/services/hello/hello-world/" in rest


def test_every_plugin_folder_serves(checkout: Checkout) -> None:
    assert checkout.call("shown/variable", name="HOME") == "/tmp"
    (checkout.more / "saved.py").write_text("import expose\n@expose.endpoint()\ndef now():\n    return 'live'\n")
    until_each(checkout, "/rest/services/saved/now/", lambda answer: '"live"' in answer)


def test_url_parameters_have_the_names_that_are_set(checkout: Checkout) -> None:
    given = checkout.call("/".join(["given", *(str(number) for number in range(1, 13))]))
    assert [given[name] for name in ("parm_1", "parm_10", "eleventh", "twelfth")] == ["1", "10", "11", "12"]


def calls_counted(exposition: str) -> float:
    return sum(
        float(value) for value in re.findall(r'^plugbay_calls_total\{outcome="VALUE".*\} (\S+)$', exposition, re.M)
    )


def test_calls_are_spread_over_the_gateways(checkout: Checkout) -> None:
    assert len(checkout.containers("gateway")) == GATEWAYS
    before = [calls_counted(answer) for answer in from_each_gateway(checkout, "/metrics")]
    for _ in range(20 * GATEWAYS):
        checkout.call("add/1/2")
    after = [calls_counted(answer) for answer in from_each_gateway(checkout, "/metrics")]
    taken = [now - then for then, now in zip(before, after, strict=True)]
    assert sum(taken) == 20 * GATEWAYS
    assert all(count >= 10 for count in taken), taken


def test_a_run_time_setting_reaches_every_gateway(checkout: Checkout) -> None:
    def value(answer: str) -> Any:
        return next(one["value"] for one in json.loads(answer)["settings"] if one["name"] == "URL_PARM12")

    with checkout.client(admin=True) as client:
        assert client.patch("/api/settings", json={"URL_PARM12": "last"}).status_code == 200
    until_each(checkout, "/api/settings", lambda answer: value(answer) == "last")
    assert checkout.call("/".join(["given", *(str(number) for number in range(1, 13))]))["last"] == "12"


def test_people_sign_in(checkout: Checkout) -> None:
    with checkout.client() as client:
        for session, name in (("202", "ann-1"), ("401", None)):
            cookies = {"Cookie": f"__Host-plugbay_session={session}", "X-Auth-Request-User": "root"}
            answer = client.get("/rest/services/shown/who/", headers=cookies)
            who = answer.json()["response"]["who"]
            assert (who and who["user"]) == name
        assert client.get("/oauth2/start?rd=/").text == "a page of the service"


def test_the_sign_in_service_is_confined_and_set(checkout: Checkout) -> None:
    container = checkout.inspect("oauth2-proxy")
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    assert not container["HostConfig"]["PortBindings"]
    assert list(container["NetworkSettings"]["Networks"]) == [f"{checkout.project}_public"]
    environ = dict(line.split("=", 1) for line in container["Config"]["Env"])
    assert environ["OAUTH2_PROXY_CLIENT_SECRET"] == "a $ecret"
    assert environ["OAUTH2_PROXY_REDIRECT_URL"] == "https://plugbay.example/oauth2/callback"
    assert environ["OAUTH2_PROXY_COOKIE_NAME"] == "__Host-plugbay_session"
    assert environ["OAUTH2_PROXY_COOKIE_SECURE"] == "true"
    assert environ["OAUTH2_PROXY_COOKIE_SECRET"] == checkout.secrets["OIDC_COOKIE_SECRET"]
    assert not {"PROXY_SECRET", "ADMIN_KEY"} & environ.keys()


def test_images_can_be_pinned_by_digest() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    filled_in = {name: f"/{number}" for number, name in enumerate(re.findall(r"\$\{(\w+):\?", text))}
    images = ("PYTHON_IMAGE", "NGINX_IMAGE", "REDIS_IMAGE", "MONGO_IMAGE", "OAUTH2_PROXY_IMAGE")
    pinned = {name: f"registry.example/{name.lower()}:1@sha256:{number:064x}" for number, name in enumerate(images)}
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COMPOSE_PROFILES": "sso", **filled_in, **pinned},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services["gateway"]["build"]["args"].pop("PYTHON_IMAGE") == pinned.pop("PYTHON_IMAGE")
    assert {service["image"] for service in services.values()} >= set(pinned.values())


def test_every_setting_is_passed_on() -> None:
    """A setting that the stack does not pass on would count embedded, and do nothing here."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[A-Z][A-Z0-9_]+[A-Z]", text))
    embedded_only = {"DATA_DIR", "LOG_FILE"}
    assert Settings.model_fields.keys() - named - embedded_only == {"URL_PARMS"}
