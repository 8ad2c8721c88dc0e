"""Whether a Redis is set up to carry calls."""

from __future__ import annotations

from calls.redis.connection import Connection, RedisError

_HOPELESS = ("WRONGPASS", "NOAUTH", "NOPERM")


class Unfit(Exception):
    """This Redis cannot carry calls as it is set up; the message names the fix."""


def refused(error: RedisError, setting: str = "REDIS_URL") -> Unfit | None:
    """An error of Redis that no further attempt will cure."""
    return Unfit(f"{setting}: Redis refuses this user: {error}") if str(error).startswith(_HOPELESS) else None


async def check(connection: Connection, setting: str = "REDIS_URL") -> str:
    """The id of this run of Redis. Raises Unfit when it is too old, or may throw away what it holds."""
    info: bytes = await connection.ask("INFO")
    facts = dict(line.split(":", 1) for line in info.decode("utf-8", "replace").splitlines() if ":" in line)
    version = facts.get("redis_version", "unknown")
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < 7:
        raise Unfit(f"{setting}: Redis 7.0 or newer is needed, or Valkey; this is {version}")
    policy = facts.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise Unfit(
            f"{setting}: Redis may throw calls away: its maxmemory-policy is {policy}. Set `maxmemory-policy noeviction` in "
            "redis.conf, or run: redis-cli CONFIG SET maxmemory-policy noeviction"
        )
    return facts.get("run_id", "")
