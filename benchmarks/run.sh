#!/usr/bin/env bash
# Measures how fast Plugbay is, beside the same functions in FastAPI, bare Starlette, Google's
# functions-framework and behind the queue arq, and prints Markdown tables with ratios and with what is to be
# reached.
#
#   benchmarks/run.sh [--quick] [--save] [ROW …]
#
#   embedded
#   calls       a small call with 1, 16 and 64 connections, against all others
#   reload      from saving a plugin file to its first answer
#   start       from ./runserver.sh to the first answer, with 10 and with 10,000 endpoints
#   catalogue   calls among 10,000 endpoints against calls among 10
#   large       1 MB of JSON there and back, against FastAPI
#   hung        15 good clients beside a function that hangs
#   tokens      calls with a single-use token each against calls without
#   memory      of all processes while idle
#
#   the stack, whose tenants' functions run in containers
#   stack       the same small call, through the gateway and through nginx, under runc and gVisor
#   cold        a tenant's first call, with and without a prewarmed runner, against `docker run`
#   idle        memory of a tenant's runner, all processes
#   tenants     calls spread over 100 tenants against calls of one
#
# Without a ROW all are measured: at most 8 minutes, with --quick 3. --quick only shows whether everything
# works: its numbers are one short round. --save writes benchmarks/results/<date>.md and, when all rows were
# measured in full, benchmarks/RESULTS.md, which is committed.
#
# Close what else runs on the machine: load and servers share its cores. Every server listens on a free port
# of 127.0.0.1, has folders of its own under the temporary folder, and is stopped at the end, also after
# Ctrl-C. Answers are compared before they are measured; one error makes its line invalid and the exit
# status 1. Needs `wrk` (apt-get install wrk); without it the exit status is 2.
#
# Rows of the stack need root and a Docker Engine, `runsc` registered for gVisor; what is missing is said at the
# end, and the exit status is 2. Images of services are fetched or made, those of runners built: once, besides
# the time above. Only the images plugbay-benchmark-admin and plugbay-benchmark-tenant stay, and the
# environment of arq below ~/.cache/plugbay-benchmarks.
#
# A new row is a function in benchmarks/rows/ that gives a Table; a new system is a System in systems.py.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")/scripts/environment.sh"

ensure_environment requirements-dev.lock
cd "$ROOT"
exec "$VENV/bin/python" -m benchmarks "$@"
