"""An installation whose processes are killed, each in its turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.kills.clients import QUEUE_SECS
from tests.attacks.sandboxes import processes
from tests.attacks.sandboxes.processes import Stack
from tests.store.mongo_server import NotInstalled, interpreter


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One for all kills: what one of them leaves would be found by the next."""
    try:
        interpreter()
    except NotInstalled as error:
        pytest.skip(str(error))
    with processes.running("runc", 0, 0, MAX_QUEUE_SECS=QUEUE_SECS, PREWARMED_RUNNERS=1) as one:
        yield one
