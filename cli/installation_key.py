"""`plugbay installation-key`: the key that uploads to this installation can be sealed to."""

from __future__ import annotations

import base64

from cli import installation, options
from cli.output import output
from cli.problem import NO, Problem


def installation_key(as_json: options.Json = False) -> None:
    """Show the public half of INSTALLATION_KEY, for those who seal what they upload."""
    from catalogue.sealed import InstallationKeys, fingerprint

    with output(as_json) as out:
        found = installation.load().installation_key
        if found is None:
            raise Problem("There is no INSTALLATION_KEY yet: the next start makes it, in .env.local", NO)
        try:
            public = InstallationKeys(found).public
        except ValueError as error:
            raise Problem(str(error), NO) from error
        assert public is not None
        key = base64.b64encode(public).decode()
        if out.as_json:
            out.document({"public_key": key, "fingerprint": fingerprint(public)})
        else:
            out.line(f"public key   {key}")
            out.line(f"fingerprint  {fingerprint(public)}")
