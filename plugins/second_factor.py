"""A function that takes a code of an authenticator app: `expose.totp` knows it, and an `assert` refuses all others."""

import os

import expose

SECRET = os.environ.get("TOTP_SECRET", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


@expose.endpoint(method="POST")
def vault(code: str) -> str:
    """Opens for who has the app with the secret."""
    assert expose.totp(SECRET, code), "that is not the code that is shown now"
    return "diamonds"
