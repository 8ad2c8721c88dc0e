"""Which of an installation's addresses Plugbay listens at now, and how its certificate is known."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cli.installation import Installation
from cli.problem import USAGE, Problem

_TRIAL_SECS = 1.0
"""Seconds an address of this machine gets to take a connection."""


def listening(here: Installation) -> str:
    """The first of its addresses that takes a connection; the very first when none does. Nothing is tried where
    there is but one."""
    first, *others = here.urls
    for url in (first, *others) if others else ():
        if _connects(url, trust(here, url)):
            return url
    return first


def trust(here: Installation, url: str) -> ssl.SSLContext | None:
    """What an https URL of this installation's own is checked against: the very certificate that it serves. None
    for any other URL. Raises Problem."""
    if here.certificate is None or url != here.stack_url:
        return None
    return _pinned(here.certificate)


def _pinned(certificate: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(certificate))
    except OSError as error:  # what ssl raises is one, too
        raise Problem(f"TLS_CERT: {certificate} cannot be read as a certificate: {error}", USAGE) from error
    # It names its public host, not this machine's address, and what signed it need not be known here.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _connects(url: str, context: ssl.SSLContext | None) -> bool:
    try:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname or "", parts.port or 80), _TRIAL_SECS) as connection:
            if context is not None:
                context.wrap_socket(connection).close()
    except (OSError, ValueError):  # not there, another certificate, or no port
        return False
    return True
