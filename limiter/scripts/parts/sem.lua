-- What changes a semaphore, see parts/sem_entry.lua. Expired members do not count and are removed once a lease, when
-- the TTLs are renewed, and not in every call.

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
