"""Functions in other languages. The programs lie beside this file: such a module is a package folder."""

from pathlib import Path

import expose

HERE = Path(__file__).parent

sum_up = expose.command(["node", HERE / "sum.js"])


@expose.endpoint(method="POST", API="node-sum")
def node_sum(numbers: list[float]) -> object:
    """Checks the arguments here, and lets Node add them up."""
    return sum_up(numbers=numbers)


# A program can be exposed as it is, too: it gets all arguments, and checks them itself.
measure = expose.endpoint(method="POST", API="shell-measure")(expose.command(["sh", HERE / "measure.sh"]))
