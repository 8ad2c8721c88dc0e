"""Notes kept in a MongoDB database of the module's own, with credentials from its environment.

NOTES_MONGO_URI names the database; set it in `secrets/plugins.env`. Without it every call answers 503.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import expose

if TYPE_CHECKING:
    from pymongo.collection import Collection

MOST = 100


@expose.endpoint(API="notes")
def read(tag: str = "") -> list[dict[str, str]]:
    """The newest notes first, 100 at most; with `?tag=` only those."""
    found = _notes(os.environ.get("NOTES_MONGO_URI", "")).find({"tag": tag} if tag else {}, {"_id": False})
    return list(found.sort("_id", -1).limit(MOST))


@expose.endpoint(method="POST", API="notes")
def write(text: str, tag: str = "") -> expose.Response:
    """Keeps a note."""
    _notes(os.environ.get("NOTES_MONGO_URI", "")).insert_one({"text": text, "tag": tag})
    return expose.Response({"kept": text}, status=201)


@cache
def _notes(uri: str) -> Collection[dict[str, Any]]:
    """The collection behind an address; one client for all calls of a worker."""
    if not uri:
        raise expose.HTTPError(503, "NOTES_MONGO_URI is not set: see secrets/plugins.env.example")
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=3000)
    return client["notes"]["notes"]
