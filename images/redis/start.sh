#!/bin/sh
# Redis as the platform needs it. Passwords reach it on standard input: no file, no command line holds them.
#
# Nothing is saved: what is under way when Redis ends is answered as lost, and signs of life are made anew.
set -eu

digest() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

exec redis-server - <<END
port 6379
bind * -::*
save ""
appendonly no
maxmemory 512mb
maxmemory-policy noeviction
maxclients 1000
timeout 0
tcp-keepalive 30
client-output-buffer-limit normal 64mb 0 0
client-output-buffer-limit pubsub 32mb 8mb 60
user default off
user gateway on #$(digest "$REDIS_GATEWAY_PASSWORD") resetchannels &plugbay:gateways &plugbay:hosts %W~plugbay:calls:* ~plugbay:replies:* -@all +hello +info +rpush +pexpire +blmpop +publish +subscribe (~plugbay:tokens:* +set +get) (+time)
user host on #$(digest "$REDIS_HOST_PASSWORD") resetchannels &plugbay:gateways &plugbay:hosts %W~plugbay:replies:* ~plugbay:calls:* -@all +hello +info +rpush +pexpire +blmpop +publish +subscribe
END
