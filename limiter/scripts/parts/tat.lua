-- The state of GCRA and CL.THROTTLE: one string, the theoretical arrival time (TAT) in Unix nanoseconds, decimal, as
-- redis-cell writes it. It does not fit a double, so it is worked on as seconds and nanoseconds.

-- Seconds and nanoseconds of a TAT; zeros for one that is long past; nil and an error for what is no TAT.
local function tat_parse(tat)
    if type(tat) == 'table' then
        return nil, tat
    end
    local s, ns = string.match(tat, '^(%d%d%d%d%d%d%d%d%d%d)(%d%d%d%d%d%d%d%d%d)$')
    if s then
        return s + 0, ns + 0
    end
    if string.find(tat, '^%-?%d+$') and (#tat < 19 or string.sub(tat, 1, 1) == '-') then
        return 0, 0
    end
    return nil, {err = 'ERR key does not hold a limiter state'}
end

-- Keeps the TAT, which lies ahead_s and ahead_ns after now, one millisecond longer than it matters: in the past it
-- means the same as a missing key, so late expiry is exact and early expiry would not be.
local function tat_store(key, s, ns, ahead_s, ahead_ns)
    local ttl_ms = ahead_s * 1000 + math.ceil(ahead_ns / 1000000) + 1
    call('SET', key, string.format('%d%09d', s, ns), 'PX', string.format('%d', ttl_ms))
end
