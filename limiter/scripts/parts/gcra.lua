-- GCRA (the continuous token bucket) on a TAT. Durations are whole units of `unit` ns counted from now: 1 when
-- e * (limit + cost) and delay fit 2^53 ns (104 days), else 1000; only the stored TAT is absolute. Needs parts/tat.lua.

-- How far the TAT lies ahead of now, or nil and an error reply.
local function gcra_load(key, unit)
    local tat = try('GET', key)
    if not tat then
        return 0
    end
    local s, ns = tat_parse(tat)
    if not s then
        return nil, ns
    end
    local ahead = ((s - clock[1]) * 1000000000 + (ns - clock[2] * 1000)) / unit
    return ahead > 0 and math.ceil(ahead) or 0
end

-- retry_after_ms and reason of taking `cost`: -1 and 0 admit. With a delay a call may come that much too early.
local function gcra_verdict(ahead, limit, e, unit, cost, delay)
    if cost > limit then
        return -2, 3
    end
    local early = ahead + (cost - limit) * e - delay
    if early > 0 then
        return math.ceil(early * unit / 1000000), 1
    end
    return -1, 0
end

local function gcra_store(key, ahead, unit)
    if ahead <= 0 then
        call('DEL', key)
        return
    end
    local per_s = 1000000000 / unit
    local s = math.floor(ahead / per_s)
    local ns = (ahead - s * per_s) * unit
    local tat_s, tat_ns = clock[1] + s, clock[2] * 1000 + ns
    if tat_ns >= 1000000000 then
        tat_s, tat_ns = tat_s + 1, tat_ns - 1000000000
    end
    tat_store(key, tat_s, tat_ns, s, ns)
end

-- The LIMIT reply when the TAT lies `ahead`.
local function gcra_reply(retry, reason, ahead, limit, e, unit, charged)
    local room = limit * e - ahead
    local remaining = room > 0 and math.floor(room / e) or 0
    local more = ahead > 0 and (remaining + 1) * e - room or 0
    return {
        reason == 0 and 1 or 0, limit, remaining, retry,
        math.ceil(ahead * unit / 1000000), math.ceil(more * unit / 1000000), charged, reason,
    }
end
