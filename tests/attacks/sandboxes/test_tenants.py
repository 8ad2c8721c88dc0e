"""Section E of the security requirements in sandboxes: from one tenant to another, and to browsers of all."""

from __future__ import annotations

from tests.attacks.sandboxes.alive import Attacker
from tests.attacks.sandboxes.rows import Row, only, table, value
from tests.attacks.sandboxes.tenancy import ATTACKER, NEIGHBOUR

TENANTS = 6


def test_e1_a_module_of_another_is_as_one_that_is_not_there(attacker: Attacker) -> None:
    answers = [
        attacker.request("GET", f"/{ATTACKER}/{name}/ping/").text.replace(name, "") for name in ("attack0", "nothing")
    ]
    assert answers[0] == answers[1]


@table(
    Row("E6", "traces()['/run/host']", value(["host.sock"])),
    Row("E6", "[name for name in traces().get('/dev/shm', [])]", value([])),
    Row(
        "E6",
        "[name for name in traces()['/tmp'] if not name.startswith('modules-')]",
        value([]),
        fresh=True,
    ),
    Row("E6", "[name for name in processes() if not name.startswith('plugbay-')]", value([])),
    Row(
        "E6",
        "sorted(os.environ)",
        value(["HOME", "HOSTNAME", "LANG", "PATH", "TMPDIR"]),
        bubblewrap=only("HOME", "LANG", "PATH", "PWD", "TMPDIR", "LD_LIBRARY_PATH"),
    ),
)
def test_e6_nothing_of_others_is_to_be_found(attacker: Attacker, row: Row) -> None:
    attacker.value("Path('/tmp/secret-of-the-neighbour').write_text('x')", owner=NEIGHBOUR)
    row.run(attacker)
    attacker.value("os.unlink('/tmp/secret-of-the-neighbour')", owner=NEIGHBOUR)


PLANT = (
    "[Path('/tmp/' + given).write_text(given), os.environ.update({'CANARY': given}), kept.update(canary=given), "
    "threading.current_thread().__setattr__('canary', given)]"
)
LOOK = (
    "sorted({name for name in [*os.listdir('/tmp'), *os.environ.values(), *kept.values(), "
    "getattr(threading.current_thread(), 'canary', '')] if isinstance(name, str) and name.startswith('canary-of-')})"
)


def test_e7_nothing_of_one_tenant_is_in_the_runner_of_another(attacker: Attacker) -> None:
    """Each call binds a runner that nobody had; whose each was is looked at after every attack of this folder."""
    for _ in range(TENANTS):
        owner = attacker.fresh()
        canary = f"canary-of-{owner}"
        assert attacker.value(LOOK, owner=owner) == []
        attacker.value(PLANT, canary, owner=owner)
        assert attacker.value(LOOK, owner=owner) == [canary]
        assert attacker.do(r"say(b'\0\0\0\0')", owner=owner).status_code == 502


HEADERS = [
    ("Service-Worker-Allowed", "/"),
    ("Set-Cookie", f"a=1; Path=/rest/services/{NEIGHBOUR}/"),
    ("Clear-Site-Data", '"*"'),
    ("NEL", "{}"),
    ("Alt-Svc", 'h2="evil.example:443"'),
    ("Refresh", "0; url=/"),
    ("Content-Security-Policy", "default-src *"),
    ("X-Content-Type-Options", "none"),
    ("X-Accel-Redirect", "/internal/"),
    ("X-Sendfile", "/etc/passwd"),
    ("Content-Type", "text/html"),
]


def test_e14_i22_a_tenants_page_has_no_power_over_the_origin_or_the_proxy(attacker: Attacker) -> None:
    answer = attacker.request("POST", f"/{ATTACKER}/respond/", json={"headers": HEADERS})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers.get_list("content-security-policy") == ["sandbox"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    dropped = {name.lower() for name, _ in HEADERS} - {
        "content-security-policy",
        "x-content-type-options",
        "content-type",
    }
    assert not dropped & set(answer.headers)
