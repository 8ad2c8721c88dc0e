#!/usr/bin/env bash
# Writes the settings table of README.md anew from settings.py; a test says when it is due.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
TABLE=$(.venv/bin/python -P -c 'import settings; print(settings.table())')
export TABLE
awk '
    /^<!-- settings: end/ { inside = 0 }
    !inside { print }
    /^<!-- settings: made by/ { print ENVIRON["TABLE"]; inside = 1 }
' README.md >README.md.new
mv README.md.new README.md
