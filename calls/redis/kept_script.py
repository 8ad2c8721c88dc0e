"""What Redis does with kept calls and results: one script, so that each operation is done whole or not at all.

Keys, all below `plugbay:kept:`

| key | what |
| --- | --- |
| `call:<id>` | hash: `o` owner, `c` call, `r` result, `m` mark, `s` size, `n` attempts, `t` where it stands |
| `of:<owner>` | set of all ids of an owner |
| `ready:<owner>` | list of its calls that are to be run |
| `owners` | owners that have such, in the order of their turns; `turn` counts these |
| `later` | calls that were taken, by the end of their lease, and calls that are to be run again, by when; milliseconds |
| `held`, `ends` | what is held, and results, by when they are forgotten |
| `done:<owner>` | results of an owner, likewise |
| `counts` | hash: calls without a result `w` and bytes `b`, in all and of each owner |
"""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """
local P, op, A = 'plugbay:kept:', ARGV[1], ARGV
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function num(n) return string.format('%d', n) end
local function counted(field) return tonumber(redis.call('HGET', P .. 'counts', field) or 0) end
local function count(field, owner, by)
  for _, name in ipairs({field, field .. ':' .. owner}) do
    if redis.call('HINCRBY', P .. 'counts', name, num(by)) == 0 then redis.call('HDEL', P .. 'counts', name) end
  end
end
local function unready(owner, id)
  redis.call('LREM', P .. 'ready:' .. owner, 0, id)
  if redis.call('EXISTS', P .. 'ready:' .. owner) == 0 then redis.call('ZREM', P .. 'owners', owner) end
end
local function ready(owner, id)
  redis.call('HSET', P .. 'call:' .. id, 't', 'ready')
  redis.call('RPUSH', P .. 'ready:' .. owner, id)
  redis.call('ZADD', P .. 'owners', 'NX', redis.call('INCR', P .. 'turn'), owner)
end
local function leave(id, owner, state)
  if state == 'done' then
    redis.call('ZREM', P .. 'ends', id)
    redis.call('ZREM', P .. 'done:' .. owner, id)
  elseif state == 'held' then redis.call('ZREM', P .. 'held', id)
  else
    count('w', owner, -1)
    if state == 'ready' then unready(owner, id) else redis.call('ZREM', P .. 'later', id) end
  end
end
local function drop(id)
  local it = redis.call('HMGET', P .. 'call:' .. id, 'o', 't', 's')
  if not it[1] then return 0 end
  leave(id, it[1], it[2])
  count('b', it[1], -it[3])
  redis.call('UNLINK', P .. 'call:' .. id)
  redis.call('SREM', P .. 'of:' .. it[1], id)
  return 1
end
local function first(key) return redis.call('ZRANGE', P .. key, 0, 0)[1] end
local function sweep(most)
  for _, key in ipairs({'ends', 'held'}) do
    for _, id in ipairs(redis.call('ZRANGE', P .. key, '-inf', num(now), 'BYSCORE', 'LIMIT', 0, most)) do drop(id) end
  end
end
local function room(owner, size, own, all)
  local freed, last, excess = 0, 0, counted('b:' .. owner) + size - own
  local ids = excess > 0 and redis.call('ZRANGE', P .. 'done:' .. owner, 0, -1) or {}
  while freed < excess and ids[last + 1] do
    last = last + 1
    freed = freed + redis.call('HGET', P .. 'call:' .. ids[last], 's')
  end
  if freed < excess then return 'own bytes' end
  if counted('b') - freed + size > all then return 'all bytes' end
  for i = 1, last do drop(ids[i]) end
end
local function find(id)
  local it = redis.call('HMGET', P .. 'call:' .. id, 'o', 'r', 'm')
  local ends = redis.call('ZSCORE', P .. 'ends', id) or redis.call('ZSCORE', P .. 'held', id)
  if not it[1] or (ends and tonumber(ends) <= now) then return false end
  return it
end
local function put(id, owner, size, ...)
  redis.call('HSET', P .. 'call:' .. id, 'o', owner, 's', size, ...)
  redis.call('SADD', P .. 'of:' .. owner, id)
  count('b', owner, size)
end
local operations = {
  put = function(id, owner, call, size, most, total, own, all, swept)
    sweep(swept)
    if counted('w') >= tonumber(total) then return 'all calls' end
    if counted('w:' .. owner) >= tonumber(most) then return 'own calls' end
    local full = room(owner, size, own, tonumber(all))
    if full then return full end
    put(id, owner, size, 'c', call, 'n', 0, 'm', '')
    count('w', owner, 1)
    ready(owner, id)
    return counted('w')
  end,
  hold = function(id, owner, mark, size, ms, own, all, swept)
    sweep(swept)
    local it = find(id)
    if it then return it end
    drop(id)
    local full = room(owner, size, own, tonumber(all))
    if full then return full end
    put(id, owner, size, 'm', mark, 't', 'held')
    redis.call('ZADD', P .. 'held', num(now + ms), id)
    return false
  end,
  find = find,
  forget = drop,
  forget_owner = function(owner)
    for _, id in ipairs(redis.call('SMEMBERS', P .. 'of:' .. owner)) do drop(id) end
  end,
  take = function(lease, swept, ...)
    sweep(swept)
    for _, id in ipairs(redis.call('ZRANGE', P .. 'later', '-inf', num(now), 'BYSCORE', 'LIMIT', 0, swept)) do
      redis.call('ZREM', P .. 'later', id)
      ready(redis.call('HGET', P .. 'call:' .. id, 'o'), id)
    end
    local but, many = {}, 0
    for _, owner in ipairs({...}) do but[owner], many = true, many + 1 end
    for _, owner in ipairs(redis.call('ZRANGE', P .. 'owners', 0, many)) do
      if not but[owner] then
        local id = redis.call('LPOP', P .. 'ready:' .. owner)
        if redis.call('EXISTS', P .. 'ready:' .. owner) == 0 then redis.call('ZREM', P .. 'owners', owner)
        else redis.call('ZADD', P .. 'owners', redis.call('INCR', P .. 'turn'), owner) end
        redis.call('HSET', P .. 'call:' .. id, 't', 'later')
        redis.call('ZADD', P .. 'later', num(now + lease), id)
        local attempt = redis.call('HINCRBY', P .. 'call:' .. id, 'n', 1)
        return {counted('w'), id, redis.call('HGET', P .. 'call:' .. id, 'c'), attempt}
      end
    end
    return {counted('w')}
  end,
  renew = function(lease, ...)
    for _, id in ipairs({...}) do redis.call('ZADD', P .. 'later', 'XX', num(now + lease), id) end
  end,
  again = function(id, attempt, ms, by)
    if redis.call('HGET', P .. 'call:' .. id, 'n') ~= attempt then return end
    if redis.call('ZADD', P .. 'later', 'XX', 'CH', num(now + ms), id) == 1 then
      redis.call('HINCRBY', P .. 'call:' .. id, 'n', by)
    end
  end,
  finish = function(id, result, size, ms, most, own, all)
    local it = redis.call('HMGET', P .. 'call:' .. id, 'o', 't', 's')
    local owner = it[1]
    if not owner or it[2] == 'done' then return end
    leave(id, owner, it[2])
    redis.call('HDEL', P .. 'call:' .. id, 'c')
    redis.call('HSET', P .. 'call:' .. id, 'r', result, 's', size, 't', 'done')
    count('b', owner, size - it[3])
    local oldest = first('done:' .. owner)
    while oldest and (redis.call('ZCARD', P .. 'done:' .. owner) >= tonumber(most) or counted('b:' .. owner) > tonumber(own)) do
      drop(oldest)
      oldest = first('done:' .. owner)
    end
    oldest = first('ends')
    while oldest and counted('b') > tonumber(all) do
      drop(oldest)
      oldest = first('ends')
    end
    redis.call('ZADD', P .. 'ends', num(now + ms), id)
    redis.call('ZADD', P .. 'done:' .. owner, num(now + ms), id)
  end,
}
-- A Redis whose memory is full refuses the first writing of a script, if it may need some, and none after that. What
-- frees memory, in the end, goes on.
if op ~= 'put' and op ~= 'hold' and op ~= 'find' then redis.call('UNLINK', P .. 'nothing') end
return operations[op](unpack(A, 2))
"""
