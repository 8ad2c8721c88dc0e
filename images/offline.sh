#!/usr/bin/env bash
# Base images where no registry is reachable: stand-ins made from Debian's packages, under the names the
# settings give, so that Compose file and Dockerfiles stay the ones everybody uses. Wheels are
# fetched into images/wheels, so that building fetches nothing.
#
#   images/offline.sh [python redis nginx mongo]     all of them when none is named
#
# Needs root, mmdebstrap, Docker and a package index that pip reaches. Images that are there stay as they are, and
# so do wheels until requirements.lock or plugins/requirements.txt has changed: after `git pull` run it again.
# No real MongoDB can be had this way: that stand-in speaks its wire protocol and is for tests alone.
set -euo pipefail

ROOT=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
cd "$ROOT"
RELEASE=bookworm

say() { printf '%s\n' "$*" >&2; }

# The value of setting $1, or $2: a real variable wins over .env.local, and that over .env.
setting() {
    local value=${!1:-}
    for file in .env.local .env; do
        [[ -n $value || ! -f $file ]] || value=$(sed -n "s/^$1=//p" "$file" | tail -n 1)
    done
    printf '%s' "${value:-$2}"
}

python_image=$(setting PYTHON_IMAGE python:3.11-slim-bookworm)
redis_image=$(setting REDIS_IMAGE redis:7.2-alpine)
nginx_image=$(setting NGINX_IMAGE nginx:1.28-alpine)
mongo_image=$(setting MONGO_IMAGE mongo:7.0)

is_there() { docker image inspect "$1" >/dev/null 2>&1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Imports a minimal Debian with the packages $2 as image $1.
system() {
    say "Making $1 from Debian's packages …"
    mmdebstrap --quiet --variant=minbase --include="$2" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$RELEASE" "$work/system.tar"
    docker import --change 'LABEL plugbay.offline=1' --change 'CMD ["bash"]' \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$work/system.tar" "$1" >/dev/null
    rm "$work/system.tar"
}

# Fetches wheels for the images' Python into folder $1; the rest goes to pip.
wheels() {
    local python=.venv/bin/python
    if [[ ! -x $python ]]; then
        python3 -m venv "$work/venv"
        python=$work/venv/bin/python
    fi
    "$python" -m pip download --quiet --disable-pip-version-check --dest "$1" --only-binary :all: \
        --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
        --platform "manylinux_2_28_$(uname -m)" --platform "manylinux2014_$(uname -m)" --platform any "${@:2}"
}

make_python() {
    local digest
    is_there "$python_image" || system "$python_image" python3,ca-certificates
    digest=$(cat requirements.lock plugins/requirements.txt | sha256sum)
    [[ $(cat images/wheels/made-from 2>/dev/null) != "$digest" ]] || return 0
    say "Fetching wheels …"
    mkdir "$work/wheels"
    wheels "$work/wheels" pip
    # Without conditions on Python: the images' may be another one than the one that fetches here.
    sed 's/ ; python_[^\\]*\\$/ \\/' requirements.lock >"$work/lock.txt"
    wheels "$work/wheels" --no-deps --require-hashes -r "$work/lock.txt"
    [[ ! -s plugins/requirements.txt ]] || wheels "$work/wheels" -r plugins/requirements.txt
    rm -f images/wheels/*.whl
    mv "$work"/wheels/*.whl images/wheels
    printf '%s\n' "$digest" >images/wheels/made-from
}

# Builds stand-in $1 as image $2.
stand_in() {
    is_there "$2" && return
    is_there plugbay-offline-services || system plugbay-offline-services python3,ca-certificates,redis-server,nginx-light
    say "Making $2 …"
    docker build --quiet -f images/offline.Dockerfile --target "$1" -t "$2" \
        --build-context wheels="${3:-images/wheels}" images >/dev/null
}

make_redis() { stand_in redis "$redis_image"; }
make_nginx() { stand_in nginx "$nginx_image"; }
make_mongo() {
    is_there "$mongo_image" && return
    mkdir "$work/mongo"
    wheels "$work/mongo" pip SecantusDB setuptools
    stand_in mongo "$mongo_image" "$work/mongo"
}

for name in "${@:-python redis nginx mongo}"; do
    for one in $name; do
        declare -F "make_$one" >/dev/null || { say "no stand-in named $one: python, redis, nginx, mongo"; exit 2; }
        "make_$one"
    done
done
