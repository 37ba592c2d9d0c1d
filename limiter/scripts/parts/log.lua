-- A sliding log: a sorted set with one member for each admitted call, "time total cost", scored by its time in
-- microseconds; total is the sum of all costs up to it, in 16 digits so that members of one time sort as they came. The
-- cost in (now - window, now] is the last total less the total before the first live member: no sum is ever walked.
-- Time is in the member too because a score costs Redis more to print than all the rest.

-- Time, total and cost of a member.
local function log_parse(member)
    local at_us, total, cost = string.match(member, '^(%d+) (%d+) (%d+)$')
    if at_us then
        return at_us + 0, total + 0, cost + 0
    end
end

local function log_member(at_us, total, cost)
    return string.format('%d %016d %d', at_us, total, cost)
end

-- {used, base, total, first, last, stale}: cost in use, total before the first live member, last total, times of the
-- first live and of the last member, whether members have left the window; or nil and an error reply.
local function log_load(key, window_us)
    local found = try('ZRANGE', key, '0', '0')
    if found.err then
        return nil, found
    end
    local log = {used = 0, base = 0, total = 0, first = now_us, last = 0, stale = false}
    if not found[1] then
        return log
    end
    local first, total, cost = log_parse(found[1])
    if first and first <= now_us - window_us then
        log.stale = true
        local live_us = string.format('%d', now_us - window_us + 1)
        found = call('ZRANGEBYSCORE', key, live_us, '+inf', 'LIMIT', '0', '1')
        if not found[1] then
            return log
        end
        first, total, cost = log_parse(found[1])
    end
    local last, last_total = log_parse(call('ZRANGE', key, '-1', '-1')[1])
    if not first or not last then
        return nil, {err = 'ERR key does not hold a limiter state'}
    end
    log.base, log.total, log.used = total - cost, last_total, last_total - total + cost
    log.first, log.last = first, last
    return log
end

-- When the oldest members that make up `amount` will all have left, in ms from now. The members' totals rise with their
-- rank, each by 1 at least: a binary search, over by its first probe when every cost is 1.
local function log_wait(key, log, window_us, amount)
    local low = log.stale and call('ZCOUNT', key, '-inf', string.format('%d', now_us - window_us)) or 0
    local high = math.min(low + amount, call('ZCARD', key)) - 1
    local probe = high - 1
    while low < high do
        local _, total = log_parse(call('ZRANGE', key, probe, probe)[1])
        if total - log.base >= amount then
            high = probe
        else
            low = probe + 1
        end
        probe = math.floor((low + high) / 2)
    end
    local leaving = log_parse(call('ZRANGE', key, high, high)[1])
    return math.ceil((leaving + window_us - now_us) / 1000)
end

-- retry_after_ms and reason of adding `cost`: -1 and 0 admit.
local function log_verdict(key, log, limit, window_us, cost)
    if cost > limit then
        return -2, 3
    end
    if log.used + cost > limit then
        return log_wait(key, log, window_us, log.used + cost - limit), 1
    end
    return -1, 0
end

-- Appends; never before the last member, so that a clock set back keeps the order.
local function log_store(key, log, window_us, cost)
    if log.stale then
        call('ZREMRANGEBYSCORE', key, '-inf', string.format('%d', now_us - window_us))
    end
    local at_us = math.max(now_us, log.last)
    if log.used == 0 then
        log.first = at_us
    end
    log.used, log.total, log.last = log.used + cost, log.total + cost, at_us
    call('ZADD', key, string.format('%d', at_us), log_member(at_us, log.total, cost))
    call('PEXPIRE', key, string.format('%d', math.ceil((at_us + window_us - now_us) / 1000) + 1))
end

-- The LIMIT reply.
local function log_reply(retry, reason, log, limit, window_us, charged)
    local reset, more = 0, 0
    if log.used > 0 then
        reset = math.ceil((log.last + window_us - now_us) / 1000)
        more = math.ceil((log.first + window_us - now_us) / 1000)
    end
    return {reason == 0 and 1 or 0, limit, math.max(0, limit - log.used), retry, reset, more, charged, reason}
end
