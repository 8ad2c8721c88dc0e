"""Writes vectors.json, with the Python client: `python -m tests.tokens.make_vectors`.

The other implementations have to come to the same, so it is run again only when the format changes.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from plugbay_client.token import JTI_SIZE, NONCE_SIZE, TokenKey, seal

VECTORS = Path(__file__).with_name("vectors.json")
TENANT = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
OTHER = "7b1de1cc-93cb-4bd1-9d5b-0f5c2f6c8a10"
CALL = f"/rest/services/{TENANT}/hello"

REQUESTS = [
    ("a call", TENANT, "GET", CALL),
    ("the slash at the end counts", TENANT, "GET", f"{CALL}/"),
    ("HEAD is a method of its own", TENANT, "HEAD", CALL),
    ("a query, as sent", TENANT, "GET", f"{CALL}/?name=Ada%20L&name=&x=%2F?+~"),
    ("URL parameters", TENANT, "DELETE", f"/rest/services/{TENANT}/shop/basket/1/2/"),
    ("the admin without UUID in the path", OTHER, "POST", "/rest/services/hello-world"),
    ("the shortest", OTHER, "A", "/rest/"),
    ("the longest method", OTHER, "ABCDEFGHIJKLMNOP", "/rest/services/hello/"),
    ("a long target", TENANT, "PUT", f"{CALL}/?text=" + "0123456789abcdef" * 250),
]
TIMES = (0, 1, 1_700_000_000_000, 2**53 - 1)
EDGES = {"JTI of zeros": (b"\0", None), "nonce of ones": (None, b"\xff")}


def _bytes(seed: str, size: int) -> bytes:
    return sha256(seed.encode()).digest()[:size]


def _key(name: str) -> TokenKey:
    return TokenKey(_bytes(f"{name} id", 4), sha256(f"{name} secret".encode()).digest())


def _sealed() -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    cases: list[tuple[str, str, str, str, int, bytes | None, bytes | None]] = [
        (name, tenant, method, target, TIMES[number % len(TIMES)], None, None)
        for number, (name, tenant, method, target) in enumerate(REQUESTS)
    ]
    cases += [(name, TENANT, "GET", CALL, TIMES[2], jti, nonce) for name, (jti, nonce) in EDGES.items()]
    for name, tenant, method, target, issued, one, other in cases:
        key = _key("first" if tenant == TENANT else "second")
        jti = one * JTI_SIZE if one else _bytes(f"{name} jti", JTI_SIZE)
        nonce = other * NONCE_SIZE if other else _bytes(f"{name} nonce", NONCE_SIZE)
        found.append(
            {
                "name": name,
                "key": key.text(),
                "tenant": tenant,
                "method": method,
                "target": target,
                "issued": issued,
                "jti": jti.hex(),
                "nonce": nonce.hex(),
                "token": seal(key, UUID(tenant), method, target, issued, jti, nonce),
            }
        )
    return found


def _refused() -> list[dict[str, object]]:
    key = _key("first")
    good = seal(key, UUID(TENANT), "GET", CALL, TIMES[2], _bytes("jti", 16), _bytes("nonce", 24))
    raw = base64.urlsafe_b64decode(good)

    def spelled(changed: bytes) -> str:
        return base64.urlsafe_b64encode(changed).decode()

    def case(name: str, **changed: object) -> dict[str, object]:
        return {
            "name": name,
            "key": key.text(),
            "tenant": TENANT,
            "method": "GET",
            "target": CALL,
            "token": good,
        } | changed

    return [
        case("another method", method="HEAD"),
        case("another tenant", tenant=OTHER),
        case("another path", target=f"{CALL}o"),
        case("a slash at the end", target=f"{CALL}/"),
        case("another case", target=CALL.replace("hello", "Hello")),
        case("percent-encoded", target=CALL.replace("hello", "%68ello")),
        case("a query", target=f"{CALL}?a=1"),
        case("a lone question mark", target=f"{CALL}?"),
        case("part of the method moved to the target", method="GE", target=f"T{CALL}"),
        case("another secret", key=TokenKey(key.id, _key("second").secret).text()),
        case("another key id", key=TokenKey(_bytes("other", 4), key.secret).text()),
        case("version 0", token=spelled(b"\0" + raw[1:])),
        case("version 2", token=spelled(b"\2" + raw[1:])),
        case("key id changed in the token", token=spelled(raw[:1] + b"\0\0\0\0" + raw[5:])),
        case("nonce of zeros", token=spelled(raw[:5] + bytes(24) + raw[29:])),
        case("tag of zeros", token=spelled(raw[:-16] + bytes(16))),
        case("one bit of the time", token=spelled(raw[:36] + bytes((raw[36] ^ 1,)) + raw[37:])),
        case("one byte less", token=spelled(raw[:-1])),
        case("one byte more", token=spelled(raw + b"\0")),
        case("padding", token=good + "="),
        case("a space", token=good + " "),
        case("a line end", token=good + "\n"),
        case("the other base64 alphabet", token=_other_alphabet(key)),
        case("empty", token=""),
    ]


def _other_alphabet(key: TokenKey) -> str:
    """A genuine token with - or _ in it, spelled with + and / instead."""
    for number in range(1000):
        token = seal(key, UUID(TENANT), "GET", CALL, TIMES[2], _bytes(f"jti {number}", 16), _bytes(f"n {number}", 24))
        if "-" in token and "_" in token:
            return token.replace("-", "+").replace("_", "/")
    raise AssertionError("no token had - and _ in it")


if __name__ == "__main__":
    VECTORS.write_text(json.dumps({"sealed": _sealed(), "refused": _refused()}, indent=2) + "\n", encoding="utf-8")
