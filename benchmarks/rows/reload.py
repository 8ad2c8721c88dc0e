"""How soon a saved plugin file serves."""

from __future__ import annotations

import http.client
import json
import random
import time
from statistics import median
from typing import Final

from benchmarks.client import Client, Question
from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.report import Table, Target, decimal
from benchmarks.systems import called, product, running

_BOUND: Final = Target(300, "ms p50")
_LATE_SECS: Final = 10.0
_POLL_SECS: Final = 0.002
_PAUSE_SECS: Final = (0.05, 0.25)
"""Shortest and longest pause between two saves, so that they do not fall into step with a watcher."""
_PATH: Final = "/rest/services/saved/version/"
_SOURCE: Final = '''from vyperlogix.decorators import expose

VERSION = {version}


@expose.endpoint(method="GET", API="version")
def version() -> int:
    """Which version of this file serves."""
    return VERSION
'''


def reload(plan: Plan) -> Table:
    """The row `reload`."""
    file = plan.subfolder("reload/plugins") / "saved.py"
    file.write_text(_SOURCE.format(version=0))
    system = product(file.parent, plan.subfolder("reload/data"), echo=Question(_PATH, called("version", 0)))
    pause = random.Random(0)  # the same pauses in each run
    took: list[float] = []
    with running(system, plan.folder) as plugbay, Client(plugbay.port) as client:
        for version in range(1, plan.saves + 1):
            time.sleep(pause.uniform(*_PAUSE_SECS))
            began = time.perf_counter()
            file.write_text(_SOURCE.format(version=version))
            _wait_for(client, version, began + _LATE_SECS)
            took.append((time.perf_counter() - began) * 1000)
    p50 = median(took)
    return Table(
        title="Reload",
        note="From saving a changed plugin file to the first answer of the new version; every answer until then "
        "was the old version's.",
        header=["saves", "p50 ms", "longest ms", "to reach"],
        lines=[[str(len(took)), decimal(p50), decimal(max(took)), _BOUND.verdict(p50)]],
    )


def _wait_for(client: Client, version: int, until: float) -> None:
    """Asks until the new version answers. Raises Invalid for an answer of neither version, or when it is late."""
    while True:
        try:
            status, body = client.get(_PATH)
        except (OSError, http.client.HTTPException) as error:
            raise Invalid(f"{_PATH}: no answer: {type(error).__name__}: {error}") from error
        answered = json.loads(body) if status == 200 else None
        if answered == called("version", version):
            return
        if answered != called("version", version - 1):
            raise Invalid(f"{_PATH}: wrong answer after save {version}: {status} {body[:200]!r}")
        if time.perf_counter() > until:
            raise Invalid(f"save {version} did not serve within {_LATE_SECS:g} s")
        time.sleep(_POLL_SECS)
