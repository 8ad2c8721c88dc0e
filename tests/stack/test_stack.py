"""The stack of containers: what it answers, and how each service is confined."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Any

import httpx
import pytest

from tests.stack.stack import ROOT, SERVICES, Stack

pytestmark = pytest.mark.needs("docker")

NETWORKS = {
    "nginx": {"public", "edge"},
    "gateway": {"edge", "data"},
    "host": {"data"},
    "redis": {"data"},
    "kept": {"data"},
    "mongo": {"data"},
}
LIVE_SECS = 15
HEALED_SECS = 60


def call(stack: Stack, function: str, **parameters: Any) -> Any:
    answer = httpx.get(f"{stack.url}/rest/services/{function}/", params=parameters, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"]


def test_a_call_goes_through_all_of_it_and_back(stack: Stack) -> None:
    answer = httpx.post(
        f"{stack.url}/rest/services/hello/hello-world/one/", json={"args": [1], "word": "hi"}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    said = answer.json()["response"]["hello-world"]
    assert said["args"] == [1]
    assert said["kwargs"]["word"] == "hi"
    assert said["kwargs"]["parm_1"] == "one"
    assert len(answer.headers["x-call-id"]) == 32


def test_a_saved_file_serves(stack: Stack) -> None:
    (stack.plugins / "live.py").write_text("import expose\n@expose.endpoint()\ndef now():\n    return 'live'\n")
    until = time.monotonic() + LIVE_SECS
    while (answer := httpx.get(f"{stack.url}/rest/services/live/now/", timeout=30)).status_code == 404:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert answer.json()["response"] == {"now": "live"}


def test_the_raw_path_decides(stack: Stack) -> None:
    answer = httpx.get(f"{stack.url}/rest/services/hello/%2e%2e/hello-world/", timeout=30)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("a?b", "the Host header is malformed"),
        ("a#b", "the Host header is malformed"),
        ("u@b", "the Host header is malformed"),
        ("a/b", "the request is malformed"),
    ],
)
def test_a_host_that_is_none_is_refused(stack: Stack, host: str, said: str) -> None:
    answer = httpx.get(f"{stack.url}/rest/services/hello/hello-world/", headers={"Host": host}, timeout=30)
    assert answer.status_code == 400
    assert answer.json() == {"status": said}


def test_pools_are_seen_and_scaled(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.admin_key}"}, timeout=60) as client:
        names = [pool["name"] for pool in client.get("/api/pools").json()["pools"]]
        scaled = client.put("/api/pools/admin", json={"size": 2})
        assert client.put("/api/pools/admin", json={"size": 1}).status_code == 200
    assert names[0] == "admin"
    assert scaled.status_code == 200
    assert len(scaled.json()["runners"]) == 2


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_confined(stack: Stack, service: str) -> None:
    container = stack.inspect(service)
    config: dict[str, Any] = container["HostConfig"]
    assert container["State"]["Health"]["Status"] == "healthy"
    assert config["ReadonlyRootfs"]
    assert not config["Privileged"]
    assert config["CapDrop"] == ["ALL"]
    assert not config["CapAdd"]
    assert "no-new-privileges:true" in config["SecurityOpt"]
    assert 0 < config["Memory"] == config["MemorySwap"]
    assert 0 < config["PidsLimit"] <= 512
    assert config["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    assert config["PidMode"] == config["UTSMode"] == ""
    assert config["IpcMode"] == "private"


@pytest.mark.parametrize("service", SERVICES)
def test_its_process_has_no_power(stack: Stack, service: str) -> None:
    status, said = stack.inside(service, "cat", "/proc/1/status")
    assert status == 0
    facts = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert "0" not in facts["Uid"].split()
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


def test_every_service_has_a_user_of_its_own(stack: Stack) -> None:
    users = {stack.inspect(service)["Config"]["User"] for service in SERVICES}
    assert len(users) == len(SERVICES)


def test_each_service_is_where_it_belongs(stack: Stack) -> None:
    for service, expected in NETWORKS.items():
        networks = stack.inspect(service)["NetworkSettings"]["Networks"]
        assert {name.removeprefix(f"{stack.project}_") for name in networks} == expected
    for name in ("edge", "data"):
        assert stack.engine.inspect_network(f"{stack.project}_{name}")["Internal"]


def test_only_nginx_publishes_a_port(stack: Stack) -> None:
    published = {service: stack.inspect(service)["HostConfig"]["PortBindings"] or {} for service in SERVICES}
    assert published.pop("nginx") == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert not any(published.values())


def test_only_the_host_has_the_docker_socket(stack: Stack) -> None:
    having = {
        service
        for service in SERVICES
        for mount in stack.inspect(service)["Mounts"]
        if mount["Source"].endswith("docker.sock") or mount["Destination"].endswith("docker.sock")
    }
    assert having == {"host"}


def test_nothing_is_writable_but_data(stack: Stack) -> None:
    writable = {
        (service, mount["Destination"])
        for service in SERVICES
        for mount in stack.inspect(service)["Mounts"]
        if mount["RW"]
    }
    folder = f"/var/lib/plugbay/{stack.project}"
    data = {("kept", "/data"), ("mongo", "/data/db")}
    assert writable == {("host", "/var/run/docker.sock"), ("host", folder), *data}


def test_the_gateway_has_no_code_that_runs_modules(stack: Stack) -> None:
    status, said = stack.inside("gateway", "python3", "-P", "-c", "import runner")
    assert status != 0
    assert "No module named 'runner'" in said


@pytest.mark.parametrize(
    ("service", "port"), [("gateway", 8080), ("redis", 6379), ("kept", 6379), ("mongo", 27017), ("nginx", 8080)]
)
def test_admin_code_does_not_reach_the_platform(stack: Stack, service: str, port: int) -> None:
    said = call(stack, "hello/connect", address=stack.address(service), port=port)
    assert said["connect"] in ("TimeoutError", "ConnectionRefusedError", "OSError")


def test_admin_code_has_no_docker_socket(stack: Stack) -> None:
    assert call(stack, "hello/there", path="/var/run/docker.sock") == {"there": False}


def redis(
    stack: Stack, *command: str, user: str = "gateway", password: str | None = None, service: str = "redis"
) -> str:
    chosen = stack.passwords["REDIS_GATEWAY_PASSWORD"] if password is None else password
    login = ("--user", user, "--pass", chosen, "--no-auth-warning") if user else ()
    return stack.inside(service, "redis-cli", *login, *command)[1].strip()


def test_redis_knows_roles_and_nobody_else(stack: Stack) -> None:
    assert redis(stack, "INFO", user="").startswith("NOAUTH")
    assert "WRONGPASS" in redis(stack, "INFO", password="wrong")
    assert "WRONGPASS" in redis(stack, "INFO", user="host")
    for forbidden in (["CONFIG", "GET", "*"], ["EVAL", "return 1", "0"], ["KEYS", "*"], ["FLUSHALL"], ["ACL", "LIST"]):
        assert redis(stack, *forbidden).startswith("NOPERM")
    assert redis(stack, "RPUSH", "other", "1").startswith("NOPERM")
    assert redis(stack, "BLMPOP", "0.1", "1", "plugbay:calls:0", "LEFT").startswith("NOPERM")
    assert "maxmemory_policy:noeviction" in redis(stack, "INFO", "memory")


def test_the_redis_of_kept_calls_knows_the_gateway_alone(stack: Stack) -> None:
    assert redis(stack, "INFO", user="", service="kept").startswith("NOAUTH")
    hosts = stack.passwords["REDIS_HOST_PASSWORD"]
    for user in ("host", "default"):
        assert "WRONGPASS" in redis(stack, "INFO", user=user, password=hosts, service="kept")
    for forbidden in (
        ["CONFIG", "GET", "*"],
        ["KEYS", "*"],
        ["FLUSHALL"],
        ["HGET", "other", "x"],
        ["EVAL", "return redis.call('GET', 'plugbay:kept:turn')", "0"],
        ["EVAL", "return redis.call('HGET', 'other', 'x')", "0"],
    ):
        said = redis(stack, *forbidden, service="kept")
        assert said.startswith("NOPERM") or "script can't" in said or "ACL failure" in said, said
    assert "aof_enabled:1" in redis(stack, "INFO", "persistence", service="kept")
    assert "maxmemory_policy:noeviction" in redis(stack, "INFO", "memory", service="kept")


MONGO = """
import sys
import pymongo
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=5000)
try:
    client[sys.argv[2]]["probe"].find_one()
    print("found")
except pymongo.errors.OperationFailure as error:
    print("refused")
"""


@pytest.mark.parametrize(
    ("login", "database", "answer"),
    [
        ("", "VYPERADMIN", "refused"),
        ("plugbay:{MONGO_PASSWORD}@", "VYPERADMIN", "found"),
        ("plugbay:{MONGO_PASSWORD}@", "another", "refused"),
    ],
)
def test_mongodb_lets_the_platform_to_its_own_data(stack: Stack, login: str, database: str, answer: str) -> None:
    uri = f"mongodb://{login.format(**stack.passwords)}mongo:27017/?authSource=VYPERADMIN&directConnection=true"
    _, said = stack.inside("gateway", "python3", "-P", "-c", MONGO, uri, database)
    assert said.strip() == answer


def test_started_again_nothing_changes(stack: Stack) -> None:
    before = stack.ids()
    said = stack.up()
    assert stack.ids() == before
    assert f"Plugbay is ready at {stack.url}\n" in said
    assert f"curl {stack.url}/rest/services/hello/hello-world/\n" in said


def test_a_taken_port_is_named_with_the_fix(stack: Stack) -> None:
    done = stack.run("docker-up.sh", COMPOSE_PROJECT_NAME=f"{stack.project}-other")
    assert done.returncode == 1
    assert done.stderr == (
        f"plugbay: HTTP_PORT: {stack.port} is taken on 127.0.0.1: "
        "stop what listens there, or set another (HTTP_PORT=8081)\n"
    )


def test_a_user_without_docker_is_told_what_to_do(stack: Stack) -> None:
    tools = stack.plugins.parent / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "readlink", "env"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    done = stack.run("docker-up.sh", PATH=str(tools))
    assert done.returncode == 1
    assert done.stderr == "plugbay: Docker is not installed: see docs.docker.com/engine/install\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not_use_docker_is_told_what_to_do(stack: Stack) -> None:
    done = subprocess.run(
        [ROOT / "docker-up.sh"],
        env=stack.environ | {"HOME": "/"},
        user=65534,
        group=65534,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("plugbay: this user may not use Docker: run  sudo usermod -aG docker ")
    assert done.stderr.count("\n") == 1


def test_logs_are_shown_by_service(stack: Stack) -> None:
    done = stack.run("docker-logs.sh", "host")
    assert done.returncode == 0
    assert f"host {stack.project} takes calls" in done.stdout
    assert "gateway listens" not in done.stdout


def test_a_service_that_is_none_is_named(stack: Stack) -> None:
    done = stack.run("docker-restart.sh", "databse")
    assert done.returncode == 1
    assert done.stderr == (
        "plugbay: there is no service databse: these are database folder gateway host kept mongo nginx redis\n"
    )


def test_data_goes_only_when_it_is_confirmed(stack: Stack) -> None:
    done = stack.run("docker-dn.sh", "--volumes")
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert call(stack, "hello/hello-world")["hello-world"]["args"] == []


@pytest.mark.parametrize("service", ["host", "redis", "gateway"])
def test_what_is_killed_comes_back(stack: Stack, service: str) -> None:
    stack.inside(service, "sh", "-c", "kill -9 -1")
    until = time.monotonic() + HEALED_SECS
    started = stack.inspect(service)["RestartCount"]
    while not started or httpx.get(f"{stack.url}/rest/services/hello/hello-world/", timeout=30).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
        started = stack.inspect(service)["RestartCount"]
    runners = stack.engine.containers(all=True, filters={"label": [f"plugbay.installation={stack.project}"]})
    assert {runner["State"] for runner in runners} <= {"created", "running"}


def test_a_restarted_host_serves_again(stack: Stack) -> None:
    done = stack.run("docker-restart.sh", "host")
    assert done.returncode == 0, done.stderr
    done = stack.run("docker-up.sh")
    assert done.returncode == 0, done.stderr[-4000:]
    assert call(stack, "hello/hello-world")["hello-world"]["args"] == []
