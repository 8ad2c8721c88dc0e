"""The neighbour: whatever is done to the other modules, this one answers."""

import expose


@expose.endpoint(method="GET|POST", API="ping", timeout=5)
def ping() -> str:
    return "pong"
