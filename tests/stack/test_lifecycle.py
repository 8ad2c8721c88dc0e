"""A stack over its life: its secrets, restarts under load, rolled forward, stopped and started again."""

from __future__ import annotations

import concurrent.futures
import stat
import threading
import time
from collections import Counter

import pytest

from tests.stack.checkout import GATEWAYS, Checkout

pytestmark = pytest.mark.needs("docker")

PATIENCE_SECS = 30
MADE = {
    *("ADMIN_UUID", "ADMIN_KEY", "REDIS_GATEWAY_PASSWORD", "REDIS_HOST_PASSWORD", "MONGO_ROOT_PASSWORD"),
    *("MONGO_PASSWORD", "NOTES_MONGO_PASSWORD", "OIDC_COOKIE_SECRET"),
}


def test_secrets_are_made_for_their_owner_alone(checkout: Checkout) -> None:
    file = checkout.root / ".env.local"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert checkout.secrets.keys() >= MADE
    assert all(len(checkout.secrets[name]) >= 36 for name in MADE)
    assert len({checkout.secrets[name] for name in MADE}) == len(MADE)


def test_secrets_are_shown_nowhere(checkout: Checkout) -> None:
    secrets = {name: value for name, value in checkout.secrets.items() if name != "ADMIN_UUID"}
    logs = checkout.run("docker-logs.sh")
    assert logs.returncode == 0
    assert "takes calls" in logs.stdout
    for name, value in secrets.items():
        assert value not in logs.stdout + logs.stderr + checkout.said, name


def started(checkout: Checkout) -> dict[str, str]:
    """When each gateway was started."""
    found = gateways(checkout)
    return {gateway: checkout.engine.inspect_container(gateway)["State"]["StartedAt"] for gateway in found}


def keep_calling(checkout: Checkout, over: threading.Event) -> Counter[int]:
    """The statuses of calls until it is over, each on a connection of its own: nginx may close one that is idle."""
    seen: Counter[int] = Counter()
    while not over.is_set():
        with checkout.client() as client:
            seen[client.get("/rest/services/add/1/2/").status_code] += 1
    return seen


def test_gateways_restart_one_by_one_and_no_call_fails(checkout: Checkout) -> None:
    before = started(checkout)
    over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        callers = [threads.submit(keep_calling, checkout, over) for _ in range(3)]
        done = checkout.run("docker-restart.sh", "gateway")
        over.set()
        seen = sum((caller.result() for caller in callers), Counter[int]())
    assert done.returncode == 0, done.stderr
    after = started(checkout)
    assert after.keys() == before.keys()
    assert all(after[gateway] > before[gateway] for gateway in before)
    assert seen.keys() == {200}, seen


def gateways(checkout: Checkout) -> list[str]:
    return checkout.containers("gateway")


def busy(checkout: Checkout) -> int:
    with checkout.client(admin=True) as client:
        [admin] = [pool for pool in client.get("/api/pools").json()["pools"] if pool["name"] == "admin"]
    return sum(runner["busy"] for runner in admin["runners"])


def test_a_restart_of_everything_lets_a_call_finish(checkout: Checkout) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        resting = threads.submit(checkout.call, "shown/rest", seconds=6)
        until = time.monotonic() + PATIENCE_SECS
        while not busy(checkout):
            assert time.monotonic() < until
        done = checkout.run("docker-restart.sh")
        assert done.returncode == 0, done.stderr
        assert resting.result() == "rested"
    assert len(gateways(checkout)) == GATEWAYS


def test_what_is_new_in_the_checkout_is_rolled_out_and_the_rest_stays(checkout: Checkout) -> None:
    staying = [checkout.containers(service) for service in ("nginx", "redis", "kept", "mongo")]
    before = gateways(checkout)
    page = checkout.root / "gateway" / "page.py"
    page.write_text(page.read_text(encoding="utf-8") + "\n# new\n", encoding="utf-8")
    done = checkout.run("docker-up.sh", "--scale", "gateway=2")
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(gateways(checkout)) == 2
    assert not set(gateways(checkout)) & set(before)
    assert [checkout.containers(service) for service in ("nginx", "redis", "kept", "mongo")] == staying
    assert checkout.call("add/1/2") == GATEWAYS


def test_stopped_and_started_again_it_has_its_data_and_its_secrets(checkout: Checkout) -> None:
    secrets = checkout.secrets
    with checkout.client(admin=True) as client:
        assert client.patch("/api/settings", json={"URL_PARM4": "kept"}).status_code == 200
    done = checkout.run("docker-dn.sh")
    assert done.returncode == 0, done.stderr
    assert sorted(checkout.left()) == [f"{checkout.project}_{volume}" for volume in ("kept", "mongo", "notes")]
    checkout.up()
    assert len(gateways(checkout)) == GATEWAYS
    assert checkout.call("given/1/2/3/four")["kept"] == "four"
    assert checkout.secrets == secrets


def test_the_store_is_exported_and_imported_while_it_runs(checkout: Checkout) -> None:
    file = checkout.root / "backup"
    with checkout.client(admin=True) as client:
        assert client.patch("/api/settings", json={"URL_PARM5": "saved"}).status_code == 200
        exported = checkout.run("docker-store.sh", "export", str(file))
        assert exported.returncode == 0, exported.stderr
        assert exported.stdout.startswith("Exported ")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert client.patch("/api/settings", json={"URL_PARM5": "other"}).status_code == 200
        imported = checkout.run("docker-store.sh", "import", str(file))
        assert imported.returncode == 0, imported.stderr
        again = checkout.run("docker-store.sh", "export", str(file))
        assert (again.returncode, again.stdout) == (1, "")
    until = time.monotonic() + PATIENCE_SECS
    while "saved" not in checkout.call("given/1/2/3/4/five"):
        assert time.monotonic() < until
