"""Given the embedded platform under load, when runners and its host are drained, then calls are answered or told why."""

from __future__ import annotations

import httpx

from tests.embedded.server import Embedded
from tests.embedded.test_live import clients
from tests.waiting import eventually

MODULE = "import os, expose\n@expose.endpoint()\ndef who():\n    return os.getppid()\n"


def admin_runners(server: Embedded) -> list[str]:
    """Ids of those that take calls."""
    runners = server.api("GET", "/pools").json()["pools"][0]["runners"]
    return [runner["id"] for runner in runners if runner["state"] == "bound"]


def test_runners_are_drained_without_losing_a_call(live: Embedded) -> None:
    (live.plugins / "who.py").write_text(MODULE)
    eventually(lambda: live.get("/who/").status_code == 200)
    with clients(live, "/who/") as seen:
        for path in (f"/runners/{admin_runners(live)[0]}/drain", "/pools/admin/drain"):
            before, drained = set(seen), admin_runners(live)
            assert live.api("POST", path).status_code == 200
            assert not set(drained) & set(admin_runners(live))
            eventually(lambda before=before: bool(set(seen) - before))  # type: ignore[misc]
    assert {status for status, _ in seen} == {200}
    assert live.api("POST", f"/runners/{'0' * 16}/drain").status_code == 404


def test_a_drained_host_says_so_until_that_is_undone(live: Embedded) -> None:
    (live.plugins / "who.py").write_text(MODULE)
    eventually(lambda: live.get("/who/").status_code == 200)
    [host] = live.api("GET", "/pools").json()["hosts"]
    assert (host["name"], host["draining"]) == ("embedded", False)
    for _ in range(2):
        assert live.api("POST", "/hosts/embedded/drain").json()["draining"] is True
    for answer in (live.get("/who/"), httpx.get(f"{live.url}/readyz")):
        assert (answer.status_code, answer.json()["status"]) == (503, "every runner host is draining")
        assert answer.headers["retry-after"] == "1"
    assert 'plugbay_host_draining{host="embedded"} 1.0\n' in httpx.get(f"{live.url}/metrics").text
    assert live.api("DELETE", "/hosts/embedded/drain").json()["draining"] is False
    assert live.get("/who/").status_code == 200
