"""The vectors of docs/tokens.md, in every implementation: Python, the browser module, and a program written from
the document alone."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from plugbay_client.token import TokenKey, mint, seal
from tests.tokens.make_vectors import VECTORS
from tokens.opening import BadToken, open_token

ALL: dict[str, list[dict[str, Any]]] = json.loads(VECTORS.read_text(encoding="utf-8"))
SEALED, REFUSED = ALL["sealed"], ALL["refused"]
NODE = Path(__file__).with_name("node")


def node(program: str, asked: list[Any]) -> list[str]:
    """What a program of `node/` answers to these, a line for a line."""
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    done = subprocess.run(
        ["node", str(NODE / program)], input=lines, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def opened(vector: dict[str, Any]) -> tuple[int, str] | None:
    """What opening the token of a vector gives here; None when it is refused."""
    key = TokenKey.parse(vector["key"])
    method, target = vector["method"].encode(), vector["target"].encode()
    try:
        found = open_token(vector["token"].encode(), {key.id: key.secret}, UUID(vector["tenant"]).bytes, method, target)
    except BadToken:
        return None
    return found.issued_ms, found.jti.hex()


@pytest.mark.parametrize("vector", SEALED, ids=[one["name"] for one in SEALED])
def test_python_seals_and_opens(vector: dict[str, Any]) -> None:
    token = seal(
        TokenKey.parse(vector["key"]),
        UUID(vector["tenant"]),
        vector["method"],
        vector["target"],
        vector["issued"],
        bytes.fromhex(vector["jti"]),
        bytes.fromhex(vector["nonce"]),
    )
    assert token == vector["token"]
    assert opened(vector) == (vector["issued"], vector["jti"])


@pytest.mark.parametrize("vector", REFUSED, ids=[one["name"] for one in REFUSED])
def test_python_refuses(vector: dict[str, Any]) -> None:
    assert opened(vector) is None


@pytest.mark.needs("node")
def test_a_program_written_from_the_document_seals_opens_and_refuses() -> None:
    sealed = node("tokens.mjs", [{"seal": one} for one in SEALED])
    assert [json.loads(line) for line in sealed] == [{"token": one["token"]} for one in SEALED]
    found = node("tokens.mjs", [{"open": one} for one in SEALED])
    assert [json.loads(line) for line in found] == [{"issued": one["issued"], "jti": one["jti"]} for one in SEALED]
    refused = node("tokens.mjs", [{"open": one} for one in REFUSED])
    assert dict(zip([one["name"] for one in REFUSED], map(json.loads, refused), strict=True)) == {
        one["name"]: {"refused": True} for one in REFUSED
    }


@pytest.mark.needs("node")
def test_the_browser_module_seals() -> None:
    assert node("browser_module.mjs", SEALED) == [one["token"] for one in SEALED]


@pytest.mark.needs("node")
def test_what_one_makes_now_the_other_opens() -> None:
    key, tenant = TokenKey.new(), uuid4()
    about: dict[str, Any] = {
        "key": key.text(),
        "tenant": str(tenant),
        "method": "GET",
        "target": "/rest/services/a?b=c",
    }
    theirs = [
        about | {"issued": int(time.time() * 1000), "jti": uuid4().hex, "nonce": 3 * f"{number:016x}"}
        for number in range(50)
    ]
    for asked, line in zip(theirs, node("tokens.mjs", [{"seal": one} for one in theirs]), strict=True):
        assert opened(asked | json.loads(line)) == (asked["issued"], asked["jti"])
    ours = [about | {"token": mint(key, tenant, "GET", "/rest/services/a?b=c")} for _ in range(50)]
    for asked, line in zip(ours, node("tokens.mjs", [{"open": one} for one in ours]), strict=True):
        answer = json.loads(line)
        assert (answer["issued"], answer["jti"]) == opened(asked)
