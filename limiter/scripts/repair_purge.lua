-- ZREMRANGEBYSCORE of a client that knows nothing of limits: takes out what it holds for stale, but no lease of
-- SEM.ACQUIRE that lives. Those have other units, in which all of them may look stale to it.
--   KEYS        K, M (parts/sem_entry.lua)
--   ARGV[2...]  the command with its arguments, the key left out
--   reply       how many were taken out
--   errors      the command's own
local key, meta, removed = KEYS[1], KEYS[2], 0
if call('EXISTS', meta) == 0 then
    return try(ARGV[2], key, ARGV[3], ARGV[4])
end
local stale = try('ZRANGEBYSCORE', key, ARGV[3], ARGV[4], 'WITHSCORES')
if stale.err then
    return stale
end
for i = 1, #stale, 2 do
    local token = string.match(stale[i], '^%z%d+%z(.*)$') or stale[i]
    if stale[i + 1] + 0 <= now_us or call('HEXISTS', meta, token) == 0 then
        removed = removed + call('ZREM', key, stale[i])
    end
end
return removed
