"""What admin functions of the stack find besides their modules: variables of a file, and a database of their own."""

from __future__ import annotations

import time

import pytest

from tests.stack.checkout import Checkout

pytestmark = pytest.mark.needs("docker")

PATIENCE_SECS = 15


def until_variable(checkout: Checkout, name: str, value: str | None) -> None:
    until = time.monotonic() + PATIENCE_SECS
    while (found := checkout.call("shown/variable", name=name)) != value:
        assert time.monotonic() < until, found


def save(checkout: Checkout, text: str) -> None:
    """As an editor does: a new file in place of the old one."""
    new = checkout.variables.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o640)
    new.replace(checkout.variables)


def test_a_saved_file_is_what_functions_find(checkout: Checkout) -> None:
    save(checkout, "COLOUR=green\n")
    until_variable(checkout, "COLOUR", "green")
    save(checkout, "COLOUR='dark blue'\n")
    until_variable(checkout, "COLOUR", "dark blue")
    checkout.variables.unlink()
    until_variable(checkout, "COLOUR", None)


def test_a_refused_line_is_in_the_hosts_log_and_changes_nothing(checkout: Checkout) -> None:
    save(checkout, "COLOUR=green\n")
    until_variable(checkout, "COLOUR", "green")
    save(checkout, "COLOUR=red\nLD_PRELOAD=/tmp/a.so\n")
    until = time.monotonic() + PATIENCE_SECS
    while "line 2: LD_PRELOAD changes how programs are loaded" not in checkout.run("docker-logs.sh", "host").stdout:
        assert time.monotonic() < until
    assert checkout.call("shown/variable", name="COLOUR") == "green"


def test_functions_find_nothing_of_the_platforms(checkout: Checkout) -> None:
    found = set(checkout.call("shown/names"))
    assert not found & (checkout.secrets.keys() | {"REDIS_URL", "MONGO_URI", "DOCKER_HOST", "RUNNERS_DIR"})


def test_a_sample_keeps_notes_in_a_database_of_its_own(checkout: Checkout) -> None:
    password = checkout.secrets["NOTES_MONGO_PASSWORD"]
    save(checkout, f"NOTES_MONGO_URI=mongodb://notes:{password}@notes:27017/?authSource=admin&directConnection=true\n")
    until = time.monotonic() + PATIENCE_SECS
    with checkout.client() as client:
        while (answer := client.post("/rest/services/notes/", json={"text": "milk", "tag": "shop"})).status_code != 201:
            assert answer.status_code == 503, answer.text
            assert time.monotonic() < until, answer.text
    assert checkout.call("notes", tag="shop") == [{"text": "milk", "tag": "shop"}]
    assert checkout.call("notes", tag="home") == []


def test_nothing_of_the_platforms_is_in_the_network_of_that_database(checkout: Checkout) -> None:
    [network] = checkout.inspect("notes")["NetworkSettings"]["Networks"]
    assert network == f"{checkout.project}_admin"
    for service in ("nginx", "gateway", "host", "redis", "mongo"):
        for container in checkout.containers(service):
            assert network not in checkout.engine.inspect_container(container)["NetworkSettings"]["Networks"]
    runners = checkout.engine.containers(filters={"label": [f"plugbay.installation={checkout.project}"]})
    admins = [runner for runner in runners if runner["Labels"]["plugbay.trust"] == "admin"]
    assert admins
    assert all(list(runner["NetworkSettings"]["Networks"]) == [network] for runner in admins)
