"""The neighbour: whatever is done to the other modules, this one answers."""

import expose


@expose.endpoint(method="GET|POST", API="ping")
def ping() -> str:
    return "pong"
