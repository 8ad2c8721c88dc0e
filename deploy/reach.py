"""`python -m deploy.reach URL SECONDS`: waits until the platform behind URL serves a call, and prints one to try.

Exit status 1, and why it does not serve on standard error, when it does not in time.
"""

from __future__ import annotations

import json
import ssl
import sys
import time
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

PAUSE_SECS: Final = 0.25
ANSWER_SECS: Final = 15
_DIRECTORY: Final = "/rest/services/__dir__/"
_TAKES: Final = ("Token", "Bearer")
"""What is asked of who has no token, or is not signed in."""


def main(url: str, seconds: str) -> int:
    """Gives the exit status."""
    until = time.monotonic() + float(seconds)
    while True:
        problem = _try(url)
        if problem is None:
            return 0
        if time.monotonic() > until:
            print(problem, file=sys.stderr)
            return 1
        time.sleep(PAUSE_SECS)


def _try(url: str) -> str | None:
    """Prints a path that answers. Gives why none does yet, if so."""
    try:
        _get(url, "/readyz")
        path = _example(_get(url, _DIRECTORY))
        _get(url, path)
    except HTTPError as error:
        if error.code == 401 and error.headers.get("www-authenticate") in _TAKES:  # it serves those who have one
            print(_DIRECTORY)
            return None
        return f"{error.code} {_status(error.read())}".strip()
    except (URLError, OSError, ValueError) as error:
        return str(error)
    print(path)
    return None


def _get(url: str, path: str) -> Any:
    # The certificate is the operator's own; whether it is good is what its visitors check.
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    with urlopen(Request(url + path), timeout=ANSWER_SECS, context=unchecked) as answer:
        return json.load(answer)


def _example(directory: Any) -> str:
    """The sample function where it is served; the directory otherwise."""
    if "hello-world" in directory["endpoints"].get("hello", {}).get("GET", {}):
        return "/rest/services/hello/hello-world/"
    return _DIRECTORY


def _status(body: bytes) -> str:
    try:
        return str(json.loads(body)["status"])
    except (ValueError, KeyError, TypeError):
        return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
