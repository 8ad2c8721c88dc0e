#!/usr/bin/python3
"""Stands in for `mongod` in images made by images/offline.sh: takes the few options Compose gives it.

As the official image does, it makes the user MONGO_INITDB_ROOT_USERNAME with MONGO_INITDB_ROOT_PASSWORD
when the data folder is new, and asks for credentials from then on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pymongo

SERVER = (sys.executable, "-m", "secantus")
FIRST_PORT = 27018


def main() -> None:
    """Becomes the server."""
    parser = argparse.ArgumentParser(prog="mongod")
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--bind_ip_all", action="store_true")
    parser.add_argument("--bind_ip", default="127.0.0.1")
    parser.add_argument("--dbpath", default="/data/db")
    parser.add_argument("--port", default="27017")
    given, _ = parser.parse_known_args()
    user, password = os.environ.get("MONGO_INITDB_ROOT_USERNAME"), os.environ.get("MONGO_INITDB_ROOT_PASSWORD")
    storage = ("--storage-path", given.dbpath)
    made = Path(given.dbpath, "user-made")
    if user and password and not made.exists():
        make_user(storage, user, password)
        made.touch()
    auth = ("--auth",) if given.auth or user else ()
    host = "0.0.0.0" if given.bind_ip_all else given.bind_ip.split(",")[0]
    os.execv(sys.executable, (*SERVER, *storage, "--host", host, "--port", given.port, *auth))


def make_user(storage: tuple[str, str], user: str, password: str) -> None:
    """The first user, made while nobody else can connect."""
    with subprocess.Popen((*SERVER, *storage, "--host", "127.0.0.1", "--port", str(FIRST_PORT))) as server:
        with pymongo.MongoClient("127.0.0.1", FIRST_PORT, serverSelectionTimeoutMS=30_000) as client:
            client.admin.command("createUser", user, pwd=password, roles=["root"])
        server.terminate()


if __name__ == "__main__":
    main()
