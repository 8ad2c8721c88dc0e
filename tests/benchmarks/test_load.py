"""What wrk prints becomes a sample, or is not used."""

from __future__ import annotations

import json

import pytest

from benchmarks.load import Invalid, Sample, medians, parse

GOOD = {"requests": 3000, "secs": 1.5, "p50_us": 250.0, "p99_us": 900.0, "refused": 0, "broken": 0, "timeouts": 0}


def printed(**different: float) -> str:
    return f"Running 1s test\n  3000 requests in 1.50s\n{json.dumps(GOOD | different)}\n"


def test_the_last_line_is_the_sample() -> None:
    sample = parse(printed())
    assert (sample.requests, sample.p50_us, sample.p99_us, sample.rps) == (3000, 250.0, 900.0, 2000.0)


@pytest.mark.parametrize(
    ("different", "told"),
    [
        ({"refused": 2}, "2 refused"),
        ({"broken": 1}, "1 broken connections"),
        ({"timeouts": 3}, "3 timeouts"),
        ({"requests": 0}, "none was answered"),
    ],
)
def test_one_error_makes_it_invalid(different: dict[str, float], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        parse(printed(**different))


def test_output_without_a_sample_is_invalid() -> None:
    with pytest.raises(Invalid, match="Requests/sec"):
        parse("Running 1s test\nRequests/sec: 17\n")


def test_each_figure_has_its_own_median() -> None:
    samples = [
        Sample(requests=requests, secs=1, p50_us=p50, p99_us=p99, refused=0, broken=0, timeouts=0)
        for requests, p50, p99 in ((100, 3000, 5000), (300, 1000, 9000), (200, 2000, 7000))
    ]
    result = medians(samples)
    assert (result.p50_ms, result.p99_ms, result.rps) == (2.0, 7.0, 200.0)
