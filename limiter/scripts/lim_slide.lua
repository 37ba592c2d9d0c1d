-- LIM.SLIDE key limit window_ms COUNTER [COST q] [PEEK] [IDEM id], and LIM.REFUND key SLIDE ... COUNTER ...
--   KEYS[1]  the counters (parts/slide.lua)      KEYS[2]  only with IDEM: companion of key and id
--   ARGV[2]  take | peek (writes nothing) | refund (from the running window, then the one before, never below 0)
--   ARGV[3]  limit >= 1      ARGV[4]  window in ms, (limit + 1) * window < 2^53
--   ARGV[5]  cost >= 1       ARGV[6]  ms for which an IDEM reply is kept
--   reply    [allowed, limit, remaining, retry_after_ms, reset_after_ms, next_after_ms, charged, reason]
--            denied: retry_after is exact to the millisecond, -2 and reason 3 when cost > limit. Refund and IDEM as in
--            lim_gcra.lua.
--   errors   -WRONGTYPE, -ERR key does not hold a limiter state

-- part: slide
-- part: idem

local mode, limit, window, cost = ARGV[2], ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0

local e, current, previous, start = slide_load(KEYS[1], window)
if not e then
    return current
end

local retry, reason = -1, 0
if mode == 'refund' then
    local older = math.min(previous, math.max(0, cost - current))
    cost = -math.min(cost, current) - older
    current, previous = current + cost + older, previous - older
else
    retry, reason = slide_verdict(e, current, previous, limit, window, cost)
end
if mode == 'peek' or cost == 0 or reason ~= 0 then
    return slide_reply(retry, reason, e, current, previous, limit, window, 0)
end

if mode == 'take' then
    current = current + cost
end
slide_store(KEYS[1], start, current, previous, window)
local reply = slide_reply(retry, reason, e, current, previous, limit, window, cost)
if KEYS[2] then
    call('SET', KEYS[2], string.format(IDEM_REPLY, unpack(reply)), 'PX', ARGV[6])
end
return reply
