#!/bin/sh
# pip install, while the runners' image is built. /from may hold wheels: then nothing is fetched, and pip
# runs from its own wheel where the base image has none.
set -eu

if [ -n "$(find /from -name '*.whl')" ]; then
    PYTHONPATH=$(find /from -name 'pip-*.whl')
    PIP_NO_INDEX=1 PIP_FIND_LINKS=/from
    export PYTHONPATH PIP_NO_INDEX PIP_FIND_LINKS
fi
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
exec python3 -m pip install --quiet "$@"
