#!/bin/sh
# nginx with nginx.conf, whose @NAMES@ are filled in from the environment; it reads the file anew when the addresses
# of gateways or of the sign-in service have changed, so that any number of them come and go behind it.
set -eu
umask 077  # PROXY_SECRET stands in the file

CONF=/tmp/nginx.conf
GONE_SECS=10

services=gateway
if [ -n "${OIDC_ISSUER:-}" ]; then
    services='gateway oauth2-proxy'
    sign_in='include /etc/plugbay/sign_in.conf;'
fi

# Lines with a service and one of its addresses.
addresses() { for service in $services; do getent ahostsv4 "$service" 2>/dev/null | sed "s/ .*//; s/^/$service /" | sort -u; done; }

listen='8080'
if [ -s /run/tls/cert.pem ]; then
    for file in cert key; do
        [ -r /run/tls/$file.pem ] || {
            echo "plugbay: TLS_CERT, TLS_KEY: user id $(id -u) cannot read the $file: chgrp $(id -g) the file and chmod 640" >&2
            exit 78
        }
    done
    listen='8080 ssl'
    tls='ssl_certificate /run/tls/cert.pem; ssl_certificate_key /run/tls/key.pem;'
fi
# Longer than any call, or an upload of a module (40 s), may take: the gateway answers all of them in time itself.
answer_secs=$(awk "BEGIN { secs = int(${MAX_FUNCTION_SECS:-30} + ${MAX_QUEUE_SECS:-10}) + 10; print (secs < 50 ? 50 : secs) }")

# One server line per gateway. One that takes no connections is left alone for a second, and no longer: it may be back.
write() {
    servers=$(printf '%s' "$1" | sed -n 's/^gateway \(.*\)/server \1:8080 max_fails=3 fail_timeout=1s;/p' | tr '\n' ' ')
    signer=$(printf '%s' "$1" | sed -n 's/^oauth2-proxy \(.*\)/\1:4180/p' | head -n 1)
    sed -e "s|@LISTEN@|$listen|" -e "s|@TLS@|${tls:-}|" -e "s|@SERVERS@|${servers:-server 127.0.0.1:1;}|" \
        -e "s|@SIGN_IN@|${sign_in:-}|" -e "s|@SIGN_IN_SERVER@|${signer:-127.0.0.1:1}|" \
        -e "s|@PROXY_SECRET@|$PROXY_SECRET|" -e "s|@MAX_BODY_BYTES@|${MAX_BODY_BYTES:-10485760}|" -e "s|@ANSWER_SECS@|$answer_secs|" \
        /etc/plugbay/nginx.conf >"$CONF"
}

known=$(addresses || true)
write "$known"
nginx -e stderr -c "$CONF" -g 'daemon off;' &
server=$!
trap 'kill -QUIT $server' TERM QUIT INT

# A gateway that comes is taken in at once. One that is gone may just be restarting, and harms nobody meanwhile: each
# reading of the file closes connections that clients keep.
gone=0
while kill -0 $server 2>/dev/null; do
    # A signal ends the sleep.
    sleep 1 &
    wait $! || true
    now=$(addresses || true)
    if [ -z "$now" ] || [ "$now" = "$known" ]; then
        gone=0
        continue
    fi
    gone=$((gone + 1))
    if printf '%s\n' "$now" | grep -qvxF "$known"; then gone=$GONE_SECS; fi
    if [ "$gone" -ge "$GONE_SECS" ]; then
        gone=0
        known=$now
        write "$known"
        kill -HUP $server
    fi
done
wait $server
