"""The store that the processes of the stack share."""

from __future__ import annotations

from settings import Settings
from store.contract import StoreUnavailable
from store.mongo.database import Names
from store.mongo.store import MongoStore


async def open_store(settings: Settings) -> MongoStore:
    """The store at MONGO_URI. Raises StoreUnavailable."""
    if not settings.MONGO_URI:
        raise StoreUnavailable(
            "MONGO_URI: it is not set; ./docker-up.sh sets it, and without MongoDB start ./runserver.sh"
        )
    names = Names(
        admin=f"{settings.MONGO_ADMIN}-{settings.ADMIN_UUID}",
        admins=settings.MONGO_ADMIN,
        database=settings.MONGO_DATABASE,
        tenant=settings.MONGO_TENANT,
        modules=settings.MONGO_MODULES,
        audit=settings.MONGO_AUDIT,
    )
    store = MongoStore(settings.MONGO_URI, names)
    await store.open()
    return store
