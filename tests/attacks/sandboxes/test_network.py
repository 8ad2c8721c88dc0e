"""Section B of the security requirements in sandboxes: nothing is reached."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from tests.attacks.sandboxes.alive import Attacker
from tests.attacks.sandboxes.rows import Row, only, table, value
from tests.attacks.sandboxes.tenancy import ATTACKER

ADDRESSES = [("127.0.0.1", 80), ("169.254.169.254", 80), ("172.17.0.1", 22), ("redis", 6379), ("::1", 80)]
# inet, packet, netlink, vsock, bluetooth, alg, xdp
FAMILIES = (2, 17, 16, 40, 31, 38, 44)


@table(
    Row("B1", f"connects([address for address in {ADDRESSES} if address[0][0] in '1:'])", value(["EAFNOSUPPORT"] * 4)),
    Row("B2", 'raised(socket.getaddrinfo, "example.com", 80)', value("gaierror")),
    Row(
        "B2",
        '[raised(__import__("urllib.request").request.urlopen, url) for url in ("http://example.com", "http://[::1]/")]',
        value(["URLError", "URLError"]),
    ),
    Row(
        "B3",
        f"[tried(socket.socket, one, socket.SOCK_RAW) for one in {FAMILIES}]",
        value(["EAFNOSUPPORT"] * len(FAMILIES)),
    ),
    Row(
        "B7",
        'writes(["/etc/hosts", "/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"])',
        only("EROFS", "EACCES", "ENOENT"),
    ),
    Row(
        "B7",
        '[word for word in ("plugbay", "redis", "mongo", "gateway") for file in ("/etc/hosts", "/etc/resolv.conf") '
        "if Path(file).exists() and word.encode() in read(file)]",
        value([]),
    ),
)
def test_nothing_is_reached(attacker: Attacker, row: Row) -> None:
    row.run(attacker)


def test_b1_neither_is_the_platform(attacker: Attacker) -> None:
    addresses = [("127.0.0.1", port) for port in attacker.stack.ports()]
    assert set(attacker.value("connects(given)", addresses)) == {"EAFNOSUPPORT"}


def test_b4_sockets_without_a_file_are_the_machines_own(attacker: Attacker) -> None:
    with socket.socket(socket.AF_UNIX) as mine:
        mine.bind(f"\0plugbay-test-{attacker.stack.name}")
        mine.listen()
        lines = Path("/proc/net/unix").read_text().splitlines()
        names = {line.rpartition("@")[2] for line in lines if " @" in line}
        assert f"plugbay-test-{attacker.stack.name}" in names
        assert attacker.value("abstract(given)", sorted(names)) == ["ECONNREFUSED"]


def test_b5_no_text_of_a_tenant_makes_the_platform_connect(attacker: Attacker) -> None:
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as bait:
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/"

        def wait() -> None:
            try:
                asked.append(bait.accept())
            except OSError:
                return

        waiting = threading.Thread(target=wait)
        waiting.start()
        names = ("Referer", "Origin", "X-Forwarded-Host", "Forwarded", "Prefer", "Link", "Location", "Callback-Url")
        answer = attacker.request(
            "POST",
            f"/{ATTACKER}/attack/",
            params={"callback": url, "url": url},
            headers=dict.fromkeys(names, url),
            json={"code": "given", "given": url, "callback_url": url, "__map__": {"x": "y"}},
        )
        assert answer.status_code in (200, 400, 422), answer.text
        answer = attacker.request(
            "POST", f"/{ATTACKER}/respond/", json={"headers": [(name, url) for name in (*names, "Refresh")]}
        )
        assert answer.status_code == 200, answer.text
        assert not {"location", "refresh", "link"} & set(answer.headers)
        bait.shutdown(socket.SHUT_RDWR)
        waiting.join()
    assert asked == []
