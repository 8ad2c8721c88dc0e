"""Section E of the security requirements: what belongs to others, as far as there are tenants at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.attacks.alive import Attacker
from tests.attacks.tenants import DISABLED, NIL, ONE, OTHER, with_tenants
from tests.attacks.wire import request, statuses
from tests.embedded.server import ADMIN_UUID, Embedded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with with_tenants(tmp_path_factory.mktemp("owners")) as server:
        yield server


def test_e1_what_is_anothers_is_as_if_it_were_not_there(attacker: Attacker) -> None:
    mine = attacker.get(f"/{OTHER}/hidden/secret/")
    assert (mine.status_code, "bubblewrap" in mine.text) in ((200, False), (503, True)), "it is there for its owner"
    for path in ("/{}/hidden/secret/", "/{}/secret/", "/{}/hidden/", "/{}/hidden/__dir__/"):
        for owner in (ONE, ADMIN_UUID):
            answer = attacker.get(path.format(owner))
            nothing = attacker.get(path.format(owner).replace("hidden", "nothin").replace("secret", "nothin"))
            assert (answer.status_code, nothing.status_code) == (404, 404)
            assert answer.text.replace("hidden", "nothin").replace("secret", "nothin") == nothing.text
            assert answer.headers.keys() == nothing.headers.keys()
    for owner in (f"/{ONE}", ""):
        assert "hidden" not in attacker.get(f"{owner}/__dir__/").text


def test_e1_nobody_but_the_owner_learns_of_a_tenants_module(attacker: Attacker) -> None:
    for path in ("/", "/metrics", "/docs", "/openapi.json", "/readyz"):
        assert "hidden" not in attacker.request("GET", path).text
    assert "hidden" not in json.dumps(attacker.api("GET", "/endpoints").json())
    assert attacker.api("GET", "/modules/hidden").status_code == 404


def test_e2_a_uuid_has_one_form(attacker: Attacker) -> None:
    for uuid in (OTHER, ADMIN_UUID):
        found = attacker.exchange(request(b"/rest/services/%b/ping/ping/" % uuid.encode(), b"Connection: close"))
        assert found[0].status == (200 if uuid == ADMIN_UUID else 404)
        for form in (
            uuid.upper().encode(),
            b"{%b}" % uuid.encode(),
            b"urn:uuid:%b" % uuid.encode(),
            uuid.replace("-", "").encode(),
            uuid.replace("-", "%2d", 1).encode(),
            uuid.replace("-", "_").encode(),
            b"%b%%20" % uuid.encode(),
            b"%b+" % uuid.encode(),
            b"%b-" % uuid.encode(),
            uuid.replace("2", "２").encode(),
            quote(uuid.replace("4", "４")).encode(),
        ):
            path = b"/rest/services/%b/ping/ping/" % form
            assert statuses(attacker.exchange(request(path, b"Connection: close"))) in ([400], [404]), form


def test_e3_uuids_near_a_known_one_are_nobody(attacker: Attacker) -> None:
    for uuid in (NIL, NIL.replace("0", "f"), f"{OTHER[:-1]}0", f"{OTHER[:-1]}e", f"{ADMIN_UUID[:-1]}9"):
        answer = attacker.get(f"/{uuid}/ping/ping/")
        assert (answer.status_code, answer.json()) == (404, {"status": f"tenant {uuid} is unknown"})
    assert attacker.get(f"/{DISABLED}/ping/ping/").status_code == 403
    assert attacker.get(f"/{ADMIN_UUID}/ping/ping/").status_code == 200


def test_e8_calls_cannot_be_guessed_or_fetched(attacker: Attacker) -> None:
    ids = [attacker.get("/ping/ping/").headers["x-call-id"] for _ in range(500)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert len({each[:4] for each in ids}) > 450
    assert len({each[-4:] for each in ids}) > 450
    for each in (ids[0], "0" * 32, "1", "..", ids[0].upper()):
        for prefix in ("/rest/calls/", "/rest/services/calls/", "/calls/"):
            path = f"{prefix}{each}".encode()
            assert statuses(attacker.exchange(request(path, b"Connection: close"))) in ([400], [404])
        assert attacker.request("GET", f"/api/logs?call={each}").status_code == 401
