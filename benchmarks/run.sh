#!/usr/bin/env bash
# Measures how fast Plugbay is, beside the same functions in FastAPI, bare Starlette and Google's
# functions-framework, and prints Markdown tables with ratios and with what is to be reached.
#
#   benchmarks/run.sh [--quick] [--save] [ROW …]
#
#   calls       a small call with 1, 16 and 64 connections, against all others
#   reload      from saving a plugin file to its first answer
#   start       from ./runserver.sh to the first answer, with 10 and with 10,000 endpoints
#   catalogue   calls among 10,000 endpoints against calls among 10
#   large       1 MB of JSON there and back, against FastAPI
#   hung        15 good clients beside a function that hangs
#   memory      of all processes while idle
#
# Without a ROW all are measured: at most 6 minutes, with --quick 90 seconds. --quick only shows whether
# everything works: its numbers are one short round. --save writes benchmarks/results/<date>.md and, when
# all rows were measured in full, benchmarks/RESULTS.md, which is committed.
#
# Close what else runs on the machine: load and servers share its cores. Every server listens on a free port
# of 127.0.0.1, has folders of its own under the temporary folder, and is stopped at the end, also after
# Ctrl-C. Answers are compared before they are measured; one error makes its line invalid and the exit
# status 1. Needs `wrk` (apt-get install wrk); without it the exit status is 2.
#
# A new row is a function in benchmarks/rows/ that gives a Table; a new system is a System in systems.py.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")/scripts/environment.sh"

ensure_environment requirements-dev.lock
cd "$ROOT"
exec "$VENV/bin/python" -m benchmarks "$@"
