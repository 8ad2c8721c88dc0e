#!/usr/bin/env bash
# Writes docs/openapi.json anew from the code; a test says when it is due.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
.venv/bin/python -m gateway.control >docs/openapi.json.new
mv docs/openapi.json.new docs/openapi.json
