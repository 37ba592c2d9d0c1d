-- A sliding counter: one string, "start current previous": the running window's start in Unix milliseconds and the
-- costs of it and of the window before. What is in use is floor(previous * (window - e) / window) + current, e ms into
-- the window.

-- Milliseconds into the running window, its cost, that of the one before, its start; or nil and an error reply. A
-- window that seems to lie ahead (the clock was set back) is the running one, and so is one begun under a shorter
-- length.
local function slide_load(key, window)
    local now_ms = math.floor(now_us / 1000)
    local e = now_ms % window
    local state = try('GET', key)
    if not state then
        return e, 0, 0, now_ms - e
    end
    if type(state) == 'table' then
        return nil, state
    end
    local start, current, previous = string.match(state, '^(%d+) (%d+) (%d+)$')
    if not start then
        return nil, {err = 'ERR key does not hold a limiter state'}
    end
    start = start + 0
    if start >= now_ms - e then
        return math.max(0, now_ms - start), current + 0, previous + 0, start
    end
    if start >= now_ms - e - window then
        return e, 0, current + 0, now_ms - e
    end
    return e, 0, 0, now_ms - e
end

-- The first millisecond from now, 0 or more, at which `cost` fits; cost is at most limit.
local function slide_wait(e, current, previous, limit, window, cost)
    local wait, room = 0, limit - current - cost
    if room < 0 then
        -- Not before the current window has become the previous one.
        wait, e, previous, room = window - e, 0, current, limit - cost
    end
    if math.floor(previous * (window - e) / window) <= room then
        return wait
    end
    return wait + window - math.ceil((room + 1) * window / previous) + 1 - e
end

-- retry_after_ms and reason of adding `cost`: -1 and 0 admit.
local function slide_verdict(e, current, previous, limit, window, cost)
    if cost > limit then
        return -2, 3
    end
    local wait = slide_wait(e, current, previous, limit, window, cost)
    if wait > 0 then
        return wait, 1
    end
    return -1, 0
end

local function slide_store(key, start, current, previous, window)
    local ttl_ms = string.format('%d', start + 2 * window - math.floor(now_us / 1000) + 1)
    call('SET', key, string.format('%d %d %d', start, current, previous), 'PX', ttl_ms)
end

-- The LIMIT reply.
local function slide_reply(retry, reason, e, current, previous, limit, window, charged)
    local remaining = math.max(0, limit - current - math.floor(previous * (window - e) / window))
    local reset, more = slide_wait(e, current, previous, limit, window, limit), 0
    if remaining < limit then
        more = slide_wait(e, current, previous, limit, window, remaining + 1)
    end
    return {reason == 0 and 1 or 0, limit, remaining, retry, reset, more, charged, reason}
end
