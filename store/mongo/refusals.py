"""What MongoDB's errors mean to an operator."""

from __future__ import annotations

from typing import Final

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

_UNAUTHORIZED: Final = 13
_AUTHENTICATION_FAILED: Final = 18


def explain(error: PyMongoError, hosts: str, database: str) -> str:
    """What went wrong and what can be done about it. Says nothing of MONGO_URI but the hosts: it may hold a password."""
    if isinstance(error, ConnectionFailure) or error.timeout:
        return f"MongoDB at {hosts} does not answer: start it, or correct MONGO_URI"
    if isinstance(error, OperationFailure):
        if error.code == _AUTHENTICATION_FAILED:
            return f"MongoDB at {hosts} refuses the user or password of MONGO_URI"
        if error.code == _UNAUTHORIZED:
            return f"the user of MONGO_URI may not use the database {database}: give it the role readWrite there"
        return f"MongoDB at {hosts} refuses: {(error.details or {}).get('errmsg') or error}"
    return f"MongoDB at {hosts} cannot be used: {error}"
