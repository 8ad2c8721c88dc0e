#!/bin/sh
# Redis that keeps asynchronous calls and their results. The password reaches it on standard input: no file, no command
# line holds it.
#
# What it has answered is on the disk: a call that was accepted is run, whatever ends.
set -eu

digest() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

exec redis-server - <<END
port 6379
bind * -::*
dir /data
save ""
appendonly yes
appendfsync always
maxmemory 512mb
maxmemory-policy noeviction
maxclients 200
timeout 0
tcp-keepalive 30
client-output-buffer-limit normal 64mb 0 0
user default off
user gateway on #$(digest "$REDIS_GATEWAY_PASSWORD") resetchannels ~plugbay:kept:* -@all +hello +info +eval +time +exists +unlink +incr +hget +hmget +hset +hdel +hincrby +rpush +lpop +lrem +sadd +srem +smembers +zadd +zrem +zcard +zscore +zrange
END
