-- LIM.WINDOW key limit window_ms [ALIGN FIRST|EPOCH] [COST q] [PEEK|PARTIAL] [COUNTDENIED] [IDEM id], and
-- LIM.REFUND key WINDOW ...
--   KEYS[1]  the counter (parts/window.lua)      KEYS[2]  only with IDEM: companion of key and id
--   ARGV[2]  take | peek (writes nothing) | partial (takes min(q, what is left), at least 1) | refund (never below 0,
--            nothing when its window is over) | countdenied (what is denied counts too, unless cost > limit)
--   ARGV[3]  limit >= 1      ARGV[4]  window in microseconds      ARGV[5]  first | epoch
--   ARGV[6]  cost >= 1       ARGV[7]  ms for which an IDEM reply is kept
--   reply    [allowed, limit, remaining, retry_after_ms, reset_after_ms, next_after_ms, charged, reason]
--            denied: retry_after is the exact rest of the window, -2 and reason 3 when cost > limit. With countdenied a
--            denied call has charged = cost. Refund and IDEM as in lim_gcra.lua.
--   errors   -WRONGTYPE, -ERR key does not hold a limiter state

-- part: window
-- part: idem

local mode, limit, window_us, align, cost = ARGV[2], ARGV[3] + 0, ARGV[4] + 0, ARGV[5], ARGV[6] + 0

local count, end_us = window_load(KEYS[1])
if not count then
    return end_us
end

if mode == 'partial' then
    cost = math.min(cost, limit, math.max(1, limit - count))
elseif mode == 'refund' then
    cost = -math.min(cost, count)
end
local retry, reason = window_verdict(count, end_us, limit, cost)
if mode == 'refund' then
    retry, reason = -1, 0
end
if mode == 'peek' or cost == 0 or (reason ~= 0 and (mode ~= 'countdenied' or cost > limit)) then
    return window_reply(retry, reason, count, end_us, limit, 0)
end

count = count + cost
end_us = window_store(KEYS[1], count, end_us, window_us, align)
local reply = window_reply(retry, reason, count, end_us, limit, cost)
if KEYS[2] and reason == 0 then
    call('SET', KEYS[2], string.format(IDEM_REPLY, unpack(reply)), 'PX', ARGV[7])
end
return reply
