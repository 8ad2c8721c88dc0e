"""Where the sockets and working folders of runners lie: a folder that one installation has for itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_MAX_PATH: Final = 60
"""Bytes of the folder's path: with a runner's socket below it, it must fit into the 108 of unix(7)."""


def runners_folder(data_dir: Path) -> Path:
    """An empty folder, readable by us alone. Its name follows from `data_dir`, so what a killed platform
    left there is removed by the next one; `data_dir` must be locked, so that this is no other's still."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > _MAX_PATH:
        parent = Path("/tmp")  # made with mode 700 below, and never shared
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    folder = parent / f"plugbay-{os.getuid()}-{name}"
    try:
        if folder.lstat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except FileNotFoundError:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # somebody else made it: it is not for us
        return Path(tempfile.mkdtemp(prefix="plugbay-", dir=parent))
    return folder
