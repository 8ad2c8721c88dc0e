"""`python -m deploy.database_user`: makes the one user that the platform's processes know in MongoDB.

It may read and write the platform's database and nothing else. Environment: MONGO_ROOT_URI, MONGO_DATABASE,
MONGO_PASSWORD. Run again, it sets the password anew.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from deploy.process import fail

USER: Final = "plugbay"
_WAIT_MS: Final = 20_000
_EXISTS: Final = 51003


def main() -> int:
    """Gives the exit status."""
    database = os.environ["MONGO_DATABASE"]
    wanted: dict[str, Any] = {"pwd": os.environ["MONGO_PASSWORD"], "roles": [{"role": "readWrite", "db": database}]}
    try:
        with pymongo.MongoClient[dict[str, Any]](
            os.environ["MONGO_ROOT_URI"], serverSelectionTimeoutMS=_WAIT_MS
        ) as client:
            try:
                client[database].command("createUser", USER, **wanted)
            except OperationFailure as error:
                if error.code != _EXISTS:
                    raise
                client[database].command("updateUser", USER, **wanted)
    except PyMongoError as error:
        return fail(f"the database's user could not be made: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
