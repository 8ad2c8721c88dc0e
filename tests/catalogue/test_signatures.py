"""Given signed uploads, when one is forged, replayed or missing, then it does not count."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest
from nacl.signing import SigningKey as PrivateKey

from catalogue import signatures, signing_keys
from catalogue.signatures import MAX_AGE_SECS, MAX_NAMES, SKEW_SECS, BadSignature, Signature, sign
from catalogue.signing_keys import MAX_SIGNING_KEYS, TooManyKeys
from catalogue.versions import NoVersion
from settings import ROOT
from store.contract import Role, Tenant, TenantChange
from tests.catalogue.conftest import ADMIN, TENANT, Installation, source

SEED = bytes(range(32))
PUBLIC = bytes(PrivateKey(SEED).verify_key)
OTHER = "33333333-3333-4333-a333-333333333333"
ONE, TWO = source("one").encode(), source("two").encode()


def now(seconds: float = 0) -> int:
    return int((time.time() + seconds) * 1000)


@pytest.fixture
async def installed(installation: Installation) -> Installation:
    """Started, where uploads have to be signed, with two tenants of one key."""
    installation.signed_uploads = frozenset({Role.TENANT})
    await installation.start()
    for uuid in (TENANT, OTHER):
        await installation.store.add_tenant(Tenant(uuid=uuid))
        assert await installation.catalogue.uploads.signing_keys.add(uuid, "laptop", PUBLIC, first=True)
    await installation.catalogue.wait_ready()
    return installation


async def put(
    installed: Installation, data: bytes, signature: Signature | None, name: str = "shop", owner: str = TENANT
) -> None:
    await installed.catalogue.uploads.put(owner, name, data, signature)


async def refused(installed: Installation, *upload: object, **more: str) -> str:
    with pytest.raises(BadSignature) as refusal:
        await put(installed, *upload, **more)  # type: ignore[arg-type]
    return str(refusal.value)


async def test_a_signed_upload_serves_and_says_who_signed_it(installed: Installation) -> None:
    await put(installed, ONE, sign(SEED, TENANT, "shop", ONE, now()))
    [version] = (await installed.catalogue.uploads.versions(TENANT, "shop")).versions
    assert version.signed_by == hashlib.sha256(PUBLIC).hexdigest()[:16]


async def test_one_that_is_not_signed_is_refused(installed: Installation) -> None:
    assert "REQUIRE_SIGNED_MODULES" in await refused(installed, ONE, None)
    assert installed.runner.asked == []


async def test_one_signed_by_another_key_is_refused(installed: Installation) -> None:
    assert "no key" in await refused(installed, ONE, sign(b"x" * 32, TENANT, "shop", ONE, now()))
    stolen = sign(b"x" * 32, TENANT, "shop", ONE, now())
    forged = Signature(signing_keys.key_id(PUBLIC), stolen.time, stolen.value)
    assert "not that of" in await refused(installed, ONE, forged)


async def test_it_is_good_for_its_owner_name_content_and_time_alone(installed: Installation) -> None:
    good = sign(SEED, TENANT, "shop", ONE, now())
    assert "not that of" in await refused(installed, ONE, good, owner=OTHER)
    assert "not that of" in await refused(installed, ONE, good, name="other")
    assert "not that of" in await refused(installed, TWO, good)
    assert "not that of" in await refused(installed, ONE, Signature(good.key, good.time + 1, good.value))
    for bit in range(0, 512, 37):
        value = bytearray(good.value)
        value[bit // 8] ^= 1 << bit % 8
        await refused(installed, ONE, Signature(good.key, good.time, bytes(value)))
    await put(installed, ONE, good)


async def test_it_counts_once_and_never_after_a_newer_one(installed: Installation) -> None:
    began = now()
    first, second = sign(SEED, TENANT, "shop", ONE, began), sign(SEED, TENANT, "shop", TWO, began + 1)
    await put(installed, ONE, first)
    await put(installed, TWO, second)
    for data, signature in ((ONE, first), (TWO, second)):
        assert "sign it anew" in await refused(installed, data, signature)
    assert installed.serving(TENANT) == {"shop": ["two"]}
    await put(installed, ONE, sign(SEED, TENANT, "other", ONE, began), name="other")


async def test_it_does_not_count_again_after_the_module_was_removed(installed: Installation) -> None:
    signature = sign(SEED, TENANT, "shop", ONE, now())
    await put(installed, ONE, signature)
    await installed.catalogue.uploads.remove(TENANT, "shop")
    assert "sign it anew" in await refused(installed, ONE, signature)
    await installed.stop()
    await installed.start()
    assert "sign it anew" in await refused(installed, ONE, signature)


async def test_an_upload_that_changes_nothing_counts_too(installed: Installation) -> None:
    began = now()
    await put(installed, ONE, sign(SEED, TENANT, "shop", ONE, began))
    await put(installed, ONE, sign(SEED, TENANT, "shop", ONE, began + 2))
    assert "sign it anew" in await refused(installed, TWO, sign(SEED, TENANT, "shop", TWO, began + 1))


async def test_an_upload_that_fails_can_be_sent_again(installed: Installation) -> None:
    bad = b"import nobody_has_this\n"
    signature = sign(SEED, TENANT, "shop", bad, now())
    for _ in range(2):
        with pytest.raises(Exception, match="nobody_has_this"):
            await put(installed, bad, signature)


@pytest.mark.parametrize("seconds", [-MAX_AGE_SECS - 10, SKEW_SECS + 10])
async def test_its_time_is_near(installed: Installation, seconds: float) -> None:
    assert "ahead of this clock" in await refused(installed, ONE, sign(SEED, TENANT, "shop", ONE, now(seconds)))
    await put(installed, ONE, sign(SEED, TENANT, "shop", ONE, now(seconds * 0.8)))


async def test_of_20_copies_sent_at_once_one_counts(installed: Installation) -> None:
    signature = sign(SEED, TENANT, "shop", ONE, now())
    uploads = (signatures.count(installed.store, TENANT, "shop", signature) for _ in range(20))
    ended = await asyncio.gather(*uploads, return_exceptions=True)
    assert [one for one in ended if not isinstance(one, BadSignature)] == [True]


async def test_what_is_remembered_is_bounded_and_what_is_forgotten_refused(installed: Installation) -> None:
    began = now()
    for number in range(MAX_NAMES + 10):
        signature = sign(SEED, TENANT, f"m{number}", ONE, began + number)
        assert await signatures.count(installed.store, TENANT, f"m{number}", signature)
    tenant = await installed.store.tenant(TENANT)
    assert tenant is not None and len(tenant.signatures) < 40 * MAX_NAMES
    for number in (0, 9, 10, MAX_NAMES + 9):
        signature = sign(SEED, TENANT, f"m{number}", ONE, began + number)
        with pytest.raises(BadSignature):
            signatures.check(tenant, f"m{number}", ONE, signature)
    signatures.check(tenant, "m0", ONE, sign(SEED, TENANT, "m0", ONE, began + 10))


async def test_a_version_that_is_not_signed_does_not_serve_again(installed: Installation) -> None:
    installed.signed_uploads = frozenset()
    await installed.stop()
    await installed.start()
    await put(installed, ONE, None)
    installed.signed_uploads = frozenset({Role.TENANT})
    await installed.stop()
    await installed.start()
    began = now()
    await put(installed, TWO, sign(SEED, TENANT, "shop", TWO, began))
    await put(installed, ONE + b"\n", sign(SEED, TENANT, "shop", ONE + b"\n", began + 1))
    with pytest.raises(BadSignature, match="version 1 is not signed"):
        await installed.catalogue.uploads.activate(TENANT, "shop", 1)
    await installed.catalogue.uploads.activate(TENANT, "shop", 2)
    assert installed.serving(TENANT) == {"shop": ["two"]}
    with pytest.raises(NoVersion):
        await installed.catalogue.uploads.activate(TENANT, "shop", 4)


async def test_keys_are_registered_bounded_and_removed(installed: Installation) -> None:
    keys = installed.catalogue.uploads.signing_keys
    assert await keys.add(TENANT, "second", bytes(PrivateKey(b"2" * 32).verify_key), first=True) is None
    for number in range(1, MAX_SIGNING_KEYS):
        assert await keys.add(TENANT, "more", bytes(PrivateKey(bytes([number]) * 32).verify_key), first=False)
    with pytest.raises(TooManyKeys):
        await keys.add(TENANT, "more", bytes(PrivateKey(b"x" * 32).verify_key), first=False)
    with pytest.raises(ValueError, match="32 bytes"):
        await keys.add(TENANT, "short", b"x", first=False)
    assert await keys.add(TENANT, "renamed", PUBLIC, first=False)
    tenant = await installed.store.tenant(TENANT)
    assert tenant is not None and [key.name for key in signing_keys.of(tenant)] == ["more"] * 4 + ["renamed"]
    assert await keys.remove(TENANT, signing_keys.key_id(PUBLIC))
    assert not await keys.remove(TENANT, signing_keys.key_id(PUBLIC))
    assert "no key" in await refused(installed, ONE, sign(SEED, TENANT, "shop", ONE, now()))
    await installed.store.change_tenant(OTHER, TenantChange(signing_keys=""))
    assert await keys.add(OTHER, "first again", PUBLIC, first=True)


def test_the_header_is_read_back_and_nothing_else_is() -> None:
    signature = sign(SEED, TENANT, "shop", ONE, 1700000000000)
    text = signature.text()
    assert Signature.parse(text) == signature
    for wrong in ("", text[:-1], text + "A", text.replace("key", "Key"), f" {text}", f"{text}, {text}", text + "\n"):
        with pytest.raises(BadSignature):
            Signature.parse(wrong)


def test_the_text_that_is_signed_is_the_one_in_the_documentation() -> None:
    """A vector: what another implementation has to make of the same."""
    signature = sign(SEED, TENANT, "shop", b"x = 1\n", 1700000000000)
    text = signatures.signed_text(TENANT, "shop", hashlib.sha256(b"x = 1\n").hexdigest(), 1700000000000)
    assert text == (
        b"plugbay upload 1\nowner 0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1\nname shop\n"
        b"digest 9e26bf369911c45c243c684147b23fc9e1dcfcf257d299a1c632016a6fcd33f4\ntime 1700000000000\n"
    )
    assert signature.text() == (
        "key=56475aa75463474c, time=1700000000000, "
        "signature=Ak3e4MibMN8pNir42P9Ia26sbB08tZZZ7eTBCDsAms01brPUMr1Hn1MFM-h_Q1MZIJ0nGGYA_yA-M7tf58FyDQ"
    )
    specified = (ROOT / "docs" / "tenants.md").read_text()
    assert text.decode() in specified
    assert signature.text() in specified


async def test_only_of_those_who_have_to_sign_it_is_asked(installed: Installation) -> None:
    await installed.store.add_tenant(Tenant(uuid=ADMIN, plan="", role=Role.ADMIN))
    assert await installed.catalogue.uploads.put(ADMIN, "shop", ONE)
    assert "REQUIRE_SIGNED_MODULES" in await refused(installed, ONE, None)
