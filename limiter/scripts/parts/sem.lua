-- A semaphore. Three kinds of keys, all in one slot:
--   K  the client's key: a sorted set, token -> end of its lease in Unix microseconds; it lives while now < end. A holder of
--      weight w has w members: its token and the parts \0 2 \0 token ... \0 w \0 token, so that counting members counts
--      weight, and whoever removes the token by hand (ZREM) frees it.
--   M  companion hash: token -> "fence slot weight"; \0f -> the last fence; \0t -> until when K and M have their TTL.
--   P  companion sorted set of reservations, member -> end in Unix microseconds; they count as live.
-- Expired members do not count and are removed once a lease, when the TTLs are renewed, and not in every call.

-- The end of the lease of `token` if it still runs, or nil.
local function sem_end(key, token)
    local end_us = call('ZSCORE', key, token)
    if end_us and end_us + 0 > now_us then
        return end_us + 0
    end
end

-- Fence, slot and weight from M.
local function sem_entry(entry)
    local fence, slot, weight = string.match(entry or '0 -1 1', '^(%d+) (%-?%d+) (%d+)$')
    return fence + 0, slot + 0, weight + 0
end

local function sem_part(i, token)
    return '\0' .. i .. '\0' .. token
end

-- Gives the token and all its parts this end.
local function sem_put(key, token, weight, end_us)
    local score = string.format('%d', end_us)
    call('ZADD', key, score, token)
    for i = 2, weight do
        call('ZADD', key, score, sem_part(i, token))
    end
end

-- Forgets what has expired, and what M has of tokens that others removed from K once that is most of it.
local function sem_tidy(key, meta)
    repeat
        local dead = call('ZRANGEBYSCORE', key, '-inf', string.format('%d', now_us), 'LIMIT', '0', '1000')
        if dead[1] then
            call('ZREM', key, unpack(dead))
            call('HDEL', meta, unpack(dead))
        end
    until #dead < 1000
    if call('HLEN', meta) > 2 * call('ZCARD', key) + 64 then
        for _, token in ipairs(call('HKEYS', meta)) do
            if token ~= '\0f' and token ~= '\0t' and not call('ZSCORE', key, token) then
                call('HDEL', meta, token)
            end
        end
    end
end

-- Keeps K and M until a lease after this end, so that most calls need not; until_us is \0t, live what was live before.
local function sem_keep(key, meta, until_us, end_us, lease_us, live)
    if end_us > until_us then
        until_us = end_us + lease_us
        sem_tidy(key, meta)
        local at_ms = string.format('%d', math.ceil(until_us / 1000) + 1)
        call('HSET', meta, '\0t', string.format('%d', until_us))
        call('PEXPIREAT', meta, at_ms)
        call('PEXPIREAT', key, at_ms)
    elseif live == 0 then
        call('PEXPIREAT', key, string.format('%d', math.ceil(until_us / 1000) + 1))
    end
end

-- Live weight of K, and of P too if there is a P; or nil and an error reply.
local function sem_live(key, reserved)
    local from = string.format('%d', now_us + 1)
    local live = try('ZCOUNT', key, from, '+inf')
    if type(live) == 'table' then
        return nil, live
    end
    return live, reserved and call('ZCOUNT', reserved, from, '+inf') or 0
end

-- The lowest slot that no live holder has.
local function sem_free_slot(key, meta)
    local tokens = call('ZRANGEBYSCORE', key, string.format('%d', now_us + 1), '+inf')
    local taken, slot = {}, 0
    if tokens[1] then
        for _, entry in ipairs(call('HMGET', meta, unpack(tokens))) do
            local _, its_slot = sem_entry(entry)
            taken[its_slot] = true
        end
    end
    while taken[slot] do
        slot = slot + 1
    end
    return slot
end

-- Grants: returns the fence, which is above all before it, and by the clock above those that a lost M knew.
local function sem_grant(key, meta, token, weight, lease_us, last_fence, until_us, live, slot)
    local fence = math.max(now_us, last_fence + 1)
    sem_put(key, token, weight, now_us + lease_us)
    local text = string.format('%d', fence)
    call('HSET', meta, '\0f', text, token, text .. ' ' .. slot .. ' ' .. weight)
    sem_keep(key, meta, until_us, now_us + lease_us, lease_us, live)
    return fence
end

-- The upper bound in ms after which `weight` of what is live has expired; that of all when it is not that much.
local function sem_retry(key, reserved, live, weight)
    local from = string.format('%d', now_us + 1)
    local last_us = now_us
    if live > 0 then
        local skip = string.format('%d', math.min(weight, live) - 1)
        last_us = call('ZRANGEBYSCORE', key, from, '+inf', 'WITHSCORES', 'LIMIT', skip, '1')[2] + 0
    end
    if weight > live and reserved then
        local last = call('ZREVRANGE', reserved, '0', '0', 'WITHSCORES')
        last_us = math.max(last_us, (last[2] or 0) + 0)
    end
    return math.max(1, math.ceil((last_us - now_us) / 1000))
end
