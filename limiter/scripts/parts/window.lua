-- A fixed window: one string, "count end" with the end in Unix microseconds, the first instant of the next window. The
-- end is in the value because expiry is exact to a millisecond only; the key's TTL merely tidies up.

-- Count and end of the running window, zeros without one, or nil and an error reply.
local function window_load(key)
    local state = try('GET', key)
    if not state then
        return 0, 0
    end
    if type(state) == 'table' then
        return nil, state
    end
    local count, end_us = string.match(state, '^(%d+) (%d+)$')
    if not count then
        return nil, {err = 'ERR key does not hold a limiter state'}
    end
    if end_us + 0 <= now_us then
        return 0, 0
    end
    return count + 0, end_us + 0
end

-- retry_after_ms and reason of adding `cost`: -1 and 0 admit.
local function window_verdict(count, end_us, limit, cost)
    if cost > limit then
        return -2, 3
    end
    if count + cost > limit then
        return math.ceil((end_us - now_us) / 1000), 1
    end
    return -1, 0
end

-- Writes the count and returns the window's end; a window starts with its first cost, or at a multiple of its length.
local function window_store(key, count, end_us, window_us, align)
    if end_us == 0 then
        end_us = now_us + window_us
        if align == 'epoch' then
            end_us = end_us - now_us % window_us
        end
    end
    local ttl_ms = string.format('%d', math.ceil((end_us - now_us) / 1000) + 1)
    call('SET', key, string.format('%d %d', count, end_us), 'PX', ttl_ms)
    return end_us
end

-- The LIMIT reply.
local function window_reply(retry, reason, count, end_us, limit, charged)
    local reset = count > 0 and math.ceil((end_us - now_us) / 1000) or 0
    return {reason == 0 and 1 or 0, limit, math.max(0, limit - count), retry, reset, reset, charged, reason}
end
