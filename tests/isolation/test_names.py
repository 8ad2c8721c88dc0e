"""Names: what two tenants have under the same ones is each one's own, and what one has the other does not find.

Other forms of a UUID and of a path (rows E2, E3) are attacked in tests/attacks/test_owners.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.attacks.wire import Wire, request
from tests.isolation.conftest import HIDDEN, Tenant

pytestmark = pytest.mark.needs("bubblewrap")

OTHER_EACH_TIME = {"x-call-id", "server-timing", "date"}


def lasting(answer: httpx.Response, *names: str) -> tuple[int, list[tuple[str, str]], str]:
    """An answer without what is another one each time, and without these names."""
    text = answer.text
    for name in names:
        text = text.replace(name, "<name>")
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in OTHER_EACH_TIME]
    return answer.status_code, [(name, value) for name, value in headers if name != "content-length"], text


@pytest.mark.parametrize("place", ["box/who", "same/who", "who"])
def test_names_aliases_and_short_forms_lead_to_ones_own(ada: Tenant, bob: Tenant, place: str) -> None:
    for _ in range(5):
        for one in (ada, bob):
            answer = one.client.get(f"/rest/services/{one.uuid}/{place}/")
            assert answer.json()["response"] == {"who": [f"of {one.name}", ""]}


@pytest.mark.parametrize(
    "place", ["secluded/hidden", "covert/hidden", "hidden", "secluded/nothing", "secluded/__dir__", "covert/__dir__"]
)
def test_e1_what_is_anothers_is_as_if_it_were_not_there(ada: Tenant, admin: Tenant, place: str) -> None:
    made_up = place.replace("secluded", "unheard").replace("covert", "unseen").replace("hidden", "absent")
    for one in (ada, admin):
        for headers in ({}, {"Authorization": f"Bearer {one.key}"}):
            found, nothing = (
                lasting(one.client.get(f"/rest/services/{one.uuid}/{path}/", headers=headers), *path.split("/"))
                for path in (place, made_up)
            )
            assert found == nothing
            assert found[0] == 404


def test_e1_no_list_of_one_names_what_the_other_has(ada: Tenant, bob: Tenant) -> None:
    directory = ada.client.get(f"/rest/services/{ada.uuid}/__dir__/")
    assert "box" in directory.text
    assert "secluded" in bob.text()
    for text in (directory.text, ada.text(), ada.client.get("/rest/services/__dir__/").text):
        for name in ("secluded", "covert", "hidden", bob.uuid, "Bob"):
            assert name not in text


def test_e4_nobody_uploads_for_somebody_else(ada: Tenant, bob: Tenant, admin: Tenant) -> None:
    before = bob.text(), admin.text()
    for owner in (bob, admin):
        for name in ("box", "secluded", "planted"):
            refused = ada.upload(name, f'__ID__ = "{owner.uuid}"\n{HIDDEN}')
            assert (refused.status_code, "__ID__" in refused.text) == (422, True), refused.text
        assert owner.call("hidden", module="planted").status_code == 404
    assert (bob.text(), admin.text()) == before


def test_e4_what_is_said_of_an_owner_while_it_runs_counts_for_nothing(ada: Tenant, bob: Tenant) -> None:
    said = f'globals()["__ID__"] = "{bob.uuid}"\n__alias__ = "secluded"\n{HIDDEN.replace("__alias__", "other")}'
    assert ada.upload("posing", said).status_code == 201
    try:
        assert ada.call("hidden", module="posing").status_code == 200
        assert ada.call("hidden", module="secluded").status_code == 200  # her alias, and hers alone
        assert bob.call("hidden", module="posing").status_code == 404
    finally:
        assert ada.api("DELETE", f"/tenants/{ada.uuid}/modules/posing").status_code == 204


@pytest.mark.parametrize("name", ["secluded", "covert", "box_of_bob"])
def test_nobody_imports_what_is_anothers(ada: Tenant, bob: Tenant, name: str) -> None:
    refused = ada.upload("curious", f"import {name}\n{HIDDEN}")
    assert (refused.status_code, "No module named" in refused.text or "ImportError" in refused.text) == (422, True)


def nonces(one: Tenant, numbers: Iterable[int]) -> list[list[str]]:
    """What each of many calls at once is answered."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: one.call(params={"nonce": f"{one.name}{number}"}), numbers))
    return [answer.json()["response"]["who"] for answer in answers]


def test_calls_at_once_are_answered_to_those_who_made_them(ada: Tenant, bob: Tenant) -> None:
    with ThreadPoolExecutor(2) as threads:
        for one, seen in zip((ada, bob), threads.map(lambda one: nonces(one, range(200)), (ada, bob)), strict=True):
            assert seen == [[f"of {one.name}", f"{one.name}{number}"] for number in range(200)]


def test_calls_on_one_connection_are_answered_in_their_order(ada: Tenant, bob: Tenant) -> None:
    """As a proxy sends them that keeps a connection for everybody."""
    calls = [(one, number) for number in range(40) for one in (ada, bob)]
    with Wire(ada.platform.url) as wire:
        for one, number in calls:
            wire.send(request(f"/rest/services/{one.uuid}/box/who/?nonce={number}".encode()))
        for one, number in calls:
            answer = wire.answer()
            assert answer is not None
            assert f'["of {one.name}","{number}"]' in answer.body.decode().replace(", ", ",")
