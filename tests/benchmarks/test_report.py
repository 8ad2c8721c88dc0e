"""Tables in Markdown, and what is said of targets."""

from __future__ import annotations

from benchmarks.load import Invalid
from benchmarks.report import Table, Target, document, invalid


def test_a_table_in_markdown() -> None:
    table = Table("Calls", "An echo.", ["system", "calls/s"], [["plugbay", "1,000"], ["a|b", "2"]])
    assert table.markdown() == (
        "## Calls\n\nAn echo.\n\n| system | calls/s |\n| --- | --- |\n| plugbay | 1,000 |\n| a/b | 2 |\n"
    )


def test_targets_say_what_was_to_be_reached() -> None:
    at_most, at_least = Target(0.35, "ms"), Target(1.3, "×", most=False)
    assert at_most.verdict(0.351) == "0.35 ms (to reach: ≤ 0.35): **missed**"
    assert at_most.verdict(0.35) == "0.35 ms (to reach: ≤ 0.35): reached"
    assert at_least.verdict(1.29) == "1.29 × (to reach: ≥ 1.3): **missed**"
    assert at_least.verdict(2) == "2.00 × (to reach: ≥ 1.3): reached"


def test_a_row_that_failed_says_why() -> None:
    table = invalid("calls", Invalid("of 10 requests: 2 refused"))
    assert not table.valid
    assert "**Invalid**: of 10 requests: 2 refused" in document([table], "facts")
