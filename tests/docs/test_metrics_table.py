"""The table of metrics in docs/metrics.md: each that is told, with its type and labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.markdown import ROOT, code, table
from tests.gateway.control_server import serving

METRICS = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")


async def test_every_metric_is_told_as_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane:
        plane.services.metrics.call("VALUE", 200, 0.1, 0.1, 0.1)
        said = (await plane.client.get("/metrics")).text
    types = dict(re.findall(r"^# TYPE (plugbay_\w+) (\w+)$", said, re.MULTILINE))
    labels: dict[str, set[str]] = {name: set() for name in types}
    for sample, given in re.findall(r"^(plugbay_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} ", said, re.MULTILINE):
        labels[sample] |= set(re.findall(r'(\w+)="', given)) - {"le"}
    told = {code(name)[0]: (kind, set(code(names))) for name, kind, names, _ in table(METRICS, "metric")}
    assert told == {name: (types[name], labels[name]) for name in types}
