"""Given uploads that are sealed to an installation, when anybody or anything else is to read them, then it cannot."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from catalogue import hpke, sealed
from catalogue.sealed import OVERHEAD, CannotOpen, InstallationKeys, fingerprint, seal
from settings import ROOT
from tests.catalogue.conftest import TENANT

OTHER = "33333333-3333-4333-a333-333333333333"
PRIVATE = bytes(range(32))
PUBLIC = hpke.public_of(PRIVATE)
VECTOR = "Ae7diD2gqUUVk9wKOOWD+3dEOkXShmO6QWbgLb0rqZbcRQa777sTotoqntIWwxAnfGeAtF7oGgWYMd0vi8+Hb0aD8D3MPGg="  # "x = 1\n"


def text(private: bytes) -> str:
    """A private key as it stands in the settings."""
    return base64.urlsafe_b64encode(private).decode().rstrip("=")


KEYS = InstallationKeys(text(PRIVATE))


async def refused(data: bytes, *, keys: InstallationKeys = KEYS, owner: str = TENANT, name: str = "shop") -> str:
    with pytest.raises(CannotOpen) as refusal:
        await keys.open(owner, name, data)
    return str(refusal.value)


def node(asked: list[Any]) -> list[Any]:
    """What the program that was written from the document answers to these."""
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    program = str(Path(__file__).with_name("sealed.mjs"))
    done = subprocess.run(["node", program], input=lines, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_the_vector_of_rfc_9180_opens() -> None:
    """Appendix A.2.1.1, sequence number 0."""
    message = hpke.unseal(
        private=bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"),
        info=bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        aad=bytes.fromhex("436f756e742d30"),
        sealed=bytes.fromhex(
            "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
        ),
    )
    assert message == b"Beauty is truth, truth beauty"


async def test_the_vector_of_the_documentation_opens() -> None:
    assert await KEYS.open(TENANT, "shop", base64.b64decode(VECTOR)) == b"x = 1\n"
    specified = (ROOT / "docs" / "tenants.md").read_text()
    for stands in (VECTOR, encoded(PUBLIC), fingerprint(PUBLIC), sealed.MEDIA_TYPE):
        assert stands in specified


@pytest.mark.needs("node")
async def test_another_implementation_opens_what_is_sealed_here_and_the_other_way_round() -> None:
    contents = [b"", b"x", b"PK\3\4" + secrets.token_bytes(70_000)]
    bound = {"owner": TENANT, "name": "shop"}
    ours = [encoded(seal(PUBLIC, TENANT, "shop", content)) for content in contents]
    opened = node([{"open": bound | {"private": encoded(PRIVATE), "sealed": one}} for one in ours])
    assert opened == [{"data": encoded(content)} for content in contents]
    elsewhere = bound | {"name": "other", "private": encoded(PRIVATE), "sealed": ours[1]}
    assert node([{"open": elsewhere}]) == [{"refused": True}]
    theirs = node([{"seal": bound | {"public": encoded(PUBLIC), "data": encoded(content)}} for content in contents])
    assert [await KEYS.open(TENANT, "shop", base64.b64decode(one["sealed"])) for one in theirs] == contents


async def test_no_two_are_alike_and_each_is_longer_by_as_much() -> None:
    one, two = (seal(PUBLIC, TENANT, "shop", b"x = 1\n") for _ in range(2))
    assert one != two and len(one) == len(two) == 6 + OVERHEAD
    assert b"x = 1" not in one


async def test_it_opens_for_its_owner_and_name_alone() -> None:
    data = seal(PUBLIC, TENANT, "shop", b"x = 1\n")
    assert "another tenant or another name" in await refused(data, owner=OTHER)
    assert "another tenant or another name" in await refused(data, name="other")
    assert await KEYS.open(TENANT, "shop", data) == b"x = 1\n"


async def test_what_was_changed_does_not_open() -> None:
    data = seal(PUBLIC, TENANT, "shop", b"x = 1\n")
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        await refused(bytes(changed))
    for wrong in (b"", data[:-1], data[: OVERHEAD - 1], data + b"x", b"x = 1\n", b"PK\3\4" * 20):
        await refused(wrong)
    weak = data[:17] + bytes(32) + data[49:]  # a point of which the shared secret is known
    assert "does not open" in await refused(weak)


async def test_one_for_another_key_is_refused_with_both_fingerprints() -> None:
    other = hpke.public_of(b"x" * 32)
    said = await refused(seal(other, TENANT, "shop", b""))
    assert fingerprint(other) in said and fingerprint(PUBLIC) in said
    nothing = InstallationKeys("")
    assert nothing.public is None
    assert "has none" in await refused(seal(other, TENANT, "shop", b""), keys=nothing)


async def test_the_key_before_opens_as_well_and_is_not_shown() -> None:
    newer = InstallationKeys(text(b"n" * 32), text(PRIVATE))
    assert newer.public == hpke.public_of(b"n" * 32)
    for public in (PUBLIC, newer.public):
        assert await newer.open(TENANT, "shop", seal(public, TENANT, "shop", b"x")) == b"x"
    assert fingerprint(newer.public) in await refused(
        seal(PUBLIC, TENANT, "shop", b"x"), keys=InstallationKeys(text(b"n" * 32))
    )


def test_what_is_no_key_is_refused() -> None:
    for wrong in (b"", b"x" * 31, bytes(32)):
        with pytest.raises(ValueError, match="public key of X25519"):
            seal(wrong, TENANT, "shop", b"x")
    with pytest.raises(ValueError, match="private key of X25519"):
        hpke.public_of(b"x" * 31)
    with pytest.raises(ValueError, match="INSTALLATION_KEY_OLD"):
        InstallationKeys(text(PRIVATE), "AAAA")
