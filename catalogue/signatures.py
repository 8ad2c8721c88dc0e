"""Signatures of uploads: what is signed, how it is sent, and that none counts twice. docs/tenants.md specifies it."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from typing import Final

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as PrivateKey
from nacl.signing import VerifyKey

from catalogue import signing_keys
from store.changing import Tenants, change_tenant
from store.contract import Tenant, TenantChange

HEADER: Final = "X-Plugbay-Signature"
"""The header of an upload that holds its signature."""
MAX_AGE_SECS: Final = 3600.0
"""How long after it was made a signature is taken."""
SKEW_SECS: Final = 60.0
"""How far ahead the clock may be that made it."""
MAX_NAMES: Final = 256
"""Names of one tenant of which the newest time is remembered; what was signed before those forgotten is refused."""

_FORM: Final = re.compile(r"key=([0-9a-f]{16}), time=([0-9]{1,15}), signature=([A-Za-z0-9_-]{86})")


class BadSignature(Exception):
    """The upload is not signed as it has to be; the message says why."""


class Signature(msgspec.Struct, frozen=True):
    """A signature as it is sent."""

    key: str
    """Id of the key."""
    time: int
    """Unix time at which it was made, in milliseconds."""
    value: bytes

    @classmethod
    def parse(cls, text: str) -> Signature:
        """The signature in a header. Raises BadSignature."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise BadSignature("a signature is written key=<id>, time=<milliseconds>, signature=<base64url, unpadded>")
        return cls(form[1], int(form[2]), base64.urlsafe_b64decode(form[3] + "=="))

    def text(self) -> str:
        """As it stands in the header."""
        value = base64.urlsafe_b64encode(self.value).decode().rstrip("=")
        return f"key={self.key}, time={self.time}, signature={value}"


class _Newest(msgspec.Struct):
    """When the newest upload of each name was signed."""

    before: int = 0
    """Nothing that is not newer is taken, whatever its name."""
    names: dict[str, int] = {}


def signed_text(owner: str, name: str, digest: str, time: int) -> bytes:
    """What is signed; `digest` is the SHA-256 of what is uploaded, in hexadecimal."""
    return f"plugbay upload 1\nowner {owner}\nname {name}\ndigest {digest}\ntime {time}\n".encode()


def sign(seed: bytes, owner: str, name: str, data: bytes, time: int) -> Signature:
    """The signature of an upload, made with the 32 bytes of a private key. Raises ValueError for other ones."""
    private = PrivateKey(seed)
    text = signed_text(owner, name, hashlib.sha256(data).hexdigest(), time)
    return Signature(signing_keys.key_id(bytes(private.verify_key)), time, private.sign(text).signature)


def check(tenant: Tenant, name: str, data: bytes, signature: Signature) -> None:
    """Raises BadSignature unless a key of the tenant has signed this upload, of late, and after all it has seen."""
    key = next((key for key in signing_keys.of(tenant) if key.id == signature.key), None)
    if key is None:
        raise BadSignature(f"the tenant has no key {signature.key} for signatures: plugbay keys register")
    text = signed_text(tenant.uuid, name, hashlib.sha256(data).hexdigest(), signature.time)
    try:
        VerifyKey(key.public).verify(text, signature.value)
    except BadSignatureError as error:
        raise BadSignature("the signature is not that of this tenant, name, content and time") from error
    age = time.time() - signature.time / 1000
    if not -SKEW_SECS <= age <= MAX_AGE_SECS:
        raise BadSignature(
            f"the signature was made more than {MAX_AGE_SECS:.0f} s ago, or more than {SKEW_SECS:.0f} s ahead of this "
            "clock: sign it anew"
        )
    _advanced(tenant.signatures, name, signature.time)


async def count(store: Tenants, owner: str, name: str, signature: Signature) -> bool:
    """Has no other upload of this name count that was signed by then; False when there is no such tenant.

    Raises BadSignature when another one has counted meanwhile, or StoreUnavailable.
    """

    def counted(tenant: Tenant) -> TenantChange:
        return TenantChange(signatures=_advanced(tenant.signatures, name, signature.time))

    return await change_tenant(store, owner, counted) is not None


def _advanced(signatures: str, name: str, time: int) -> str:
    """What is remembered once this has counted. Raises BadSignature when it is not newer."""
    newest = msgspec.json.decode(signatures, type=_Newest) if signatures else _Newest()
    if time <= max(newest.before, newest.names.get(name, 0)):
        raise BadSignature("an upload of this name that was signed then or later has been seen: sign it anew")
    newest.names[name] = time
    while len(newest.names) > MAX_NAMES:
        oldest = min(newest.names, key=newest.names.__getitem__)
        newest.before = max(newest.before, newest.names.pop(oldest))
    return msgspec.json.encode(newest).decode()
