"""A function that not everybody may call: an `assert` that fails answers 403 with its message."""

import hmac
import os

import expose

PASSPHRASE = os.environ.get("PASSPHRASE", "open sesame")


@expose.endpoint(method="POST")
def treasure(passphrase: str) -> str:
    """Opens for who knows the passphrase."""
    assert hmac.compare_digest(passphrase.encode(), PASSPHRASE.encode()), "that is not the passphrase"
    return "gold"
