-- What admits to a semaphore, see parts/sem_entry.lua.

-- Grants: returns the fence, which is above all before it, and by the clock above those that a lost M knew.
local function sem_grant(key, meta, token, weight, lease_us, last_fence, until_us, live, slot)
    local fence = math.max(now_us, last_fence + 1)
    local text = string.format('%d', fence)
    local entry = text
    if weight > 1 or slot >= 0 then
        entry = string.format('%d %d %d', fence, slot, weight)
    end
    sem_put(key, token, weight, now_us + lease_us)
    call('HSET', meta, '\0f', text, token, entry)
    sem_keep(key, meta, until_us, now_us + lease_us, lease_us, live)
    return fence
end

-- The upper bound in ms after which `weight` of what is live has expired; that of all when it is not that much. Live
-- members are the last ones of K, so ranks are counted from its end.
local function sem_retry(key, reserved, live, weight)
    local last_us = now_us
    if live > 0 then
        local rank = string.format('%d', math.max(0, live - weight))
        last_us = call('ZREVRANGE', key, rank, rank, 'WITHSCORES')[2] + 0
    end
    if weight > live and reserved then
        local last = call('ZREVRANGE', reserved, '0', '0', 'WITHSCORES')
        last_us = math.max(last_us, (last[2] or 0) + 0)
    end
    return math.max(1, math.ceil((last_us - now_us) / 1000))
end
