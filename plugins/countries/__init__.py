"""A package folder with data: `countries.csv` travels with the code and lies beside it wherever it runs."""

import csv
from pathlib import Path

import expose

with (Path(__file__).parent / "countries.csv").open(encoding="utf-8", newline="") as file:
    COUNTRIES = {row["code"]: row for row in csv.DictReader(file)}


@expose.endpoint()
def country(code: str) -> dict[str, str]:
    """Name and capital of a country, by its two letters: `/country/is/`."""
    if code.upper() not in COUNTRIES:
        raise expose.HTTPError(404, f"no country is known as {code}")
    return COUNTRIES[code.upper()]
