#!/usr/bin/env bash
# Docker for the tests, on Debian (as root):
#
#   scripts/docker-engine.sh up     installs what is missing of Engine, Compose, buildx, mmdebstrap and
#                                   gVisor, starts the Engine when none answers, and then says `started`
#   scripts/docker-engine.sh down   stops the Engine that `up` has started: for whom it said `started`
#
# Debian 12 has these only in newer suites: two are added to apt with priorities below those of its own
# (/etc/apt/sources.list.d/plugbay-docker.sources, /etc/apt/preferences.d/plugbay-docker). An Engine
# that was there before is used as it is.
set -euo pipefail

STATE=/run/plugbay-engine
OLDEST=24

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "docker-engine.sh: $*"
    exit 1
}

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

has_plugins() { docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }

# Major version of the Engine that apt would install; 0 when there is none.
candidate() {
    local version
    version=$(apt-cache policy docker.io 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}\([0-9]*\).*/\2/p')
    printf '%s' "${version:-0}"
}

# The mirror that Debian 12's own packages come from; empty on any other system.
bookworm_mirror() {
    # shellcheck disable=SC2016  # apt fills these in
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Identifier: Packages' |
        sed -n 's/^bookworm //p' | head -n 1
}

add_suites() {
    printf '%s\n' 'Types: deb' "URIs: $1" 'Suites: trixie bookworm-backports' 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >/etc/apt/sources.list.d/plugbay-docker.sources
    printf '%s\n' 'Package: *' 'Pin: release n=trixie' 'Pin-Priority: 50' '' \
        'Package: *' 'Pin: release n=bookworm-backports' 'Pin-Priority: 60' >/etc/apt/preferences.d/plugbay-docker
    apt-get update -qq >&2
}

apt_install() {
    say "Installing ${*: -1} …"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >&2
}

install_missing() {
    local mirror newer=() gvisor=()
    if { answers || command -v dockerd >/dev/null; } && has_plugins &&
        command -v mmdebstrap >/dev/null && command -v runsc >/dev/null; then
        return
    fi
    [[ $(id -u) == 0 ]] || fail "installing packages needs root"
    command -v apt-get >/dev/null || fail "this is for Debian; install Docker Engine, Compose and buildx yourself"
    apt-get update -qq >&2
    mirror=$(bookworm_mirror)
    if [[ -n $mirror ]]; then
        add_suites "$mirror"
        newer=(-t trixie)
        gvisor=(-t bookworm-backports)
    elif (($(candidate) < OLDEST)); then
        fail "this system has no Docker Engine $OLDEST or newer: install one (docs.docker.com/engine/install)"
    fi
    answers || command -v dockerd >/dev/null || apt_install "${newer[@]}" docker-cli docker.io
    has_plugins || apt_install "${newer[@]}" docker-buildx docker-compose
    command -v mmdebstrap >/dev/null || apt_install mmdebstrap
    # Tests of gVisor say that they did not run where there is none.
    command -v runsc >/dev/null || apt_install "${gvisor[@]}" runsc || say "gVisor (runsc) is not to be had here"
}

start() {
    if [[ -d /run/systemd/system ]]; then
        systemctl start docker
        return
    fi
    mkdir -p "$STATE"
    local config=/etc/docker/daemon.json
    if [[ ! -e $config ]]; then
        config=$STATE/daemon.json
        # Everything gVisor needs to confine a tenant.
        printf '%s\n' '{"runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs":' \
            '["--platform=systrap", "--network=none", "--host-uds=open", "--oci-seccomp"]}}}' >"$config"
    fi
    setsid dockerd --config-file "$config" >"$STATE/log" 2>&1 </dev/null &
    printf '%s\n' $! >"$STATE/pid"
    for ((tries = 0; tries < 120; tries++)); do
        if answers; then
            printf 'started\n'
            return
        fi
        kill -0 "$(<"$STATE/pid")" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 5 "$STATE/log" >&2
    stop
    fail "the Docker Engine did not start; its last words are above, all are in $STATE/log"
}

stop() {
    local pid
    [[ -s $STATE/pid ]] || return 0
    pid=$(<"$STATE/pid")
    rm "$STATE/pid"
    kill "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

case ${1:-} in
    up)
        install_missing
        answers || start
        ;;
    down) stop ;;
    *) fail "say up or down" ;;
esac
