-- LIM.SLIDE key limit window_ms LOG [COST q] [PEEK] [IDEM id], and LIM.REFUND key SLIDE ... LOG ...
--   KEYS[1]  the log (parts/log.lua)      KEYS[2]  only with IDEM: companion of key and id
--   ARGV[2]  take | peek (writes nothing) | refund (takes the newest costs back, never below 0)
--   ARGV[3]  limit >= 1, also the largest size of the key      ARGV[4]  window in microseconds
--   ARGV[5]  cost >= 1       ARGV[6]  ms for which an IDEM reply is kept
--   reply    [allowed, limit, remaining, retry_after_ms, reset_after_ms, next_after_ms, charged, reason]
--            denied: retry_after is exact, -2 and reason 3 when cost > limit. next_after is when the oldest call leaves
--            (after a limit was lowered more than one may have to). Refund and IDEM as in lim_gcra.lua.
--   errors   -WRONGTYPE, -ERR key does not hold a limiter state

-- part: log
-- part: idem

local mode, limit, window_us, cost = ARGV[2], ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0

local log, failure = log_load(KEYS[1], window_us)
if not log then
    return failure
end

local retry, reason = -1, 0
if mode == 'refund' then
    local left = math.min(cost, log.used)
    cost = -left
    while left > 0 do
        local newest = call('ZRANGE', KEYS[1], '-1', '-1')[1]
        local at_us, total, its_cost = log_parse(newest)
        local back = math.min(left, its_cost)
        call('ZREM', KEYS[1], newest)
        if back < its_cost then
            call('ZADD', KEYS[1], string.format('%d', at_us), log_member(at_us, total - back, its_cost - back))
            call('PEXPIRE', KEYS[1], string.format('%d', math.ceil((at_us + window_us - now_us) / 1000) + 1))
        end
        left = left - back
    end
    log = log_load(KEYS[1], window_us)
else
    retry, reason = log_verdict(KEYS[1], log, limit, window_us, cost)
end
if mode == 'take' and reason == 0 then
    log_store(KEYS[1], log, window_us, cost)
elseif mode == 'peek' or reason ~= 0 then
    cost = 0
end
local reply = log_reply(retry, reason, log, limit, window_us, cost)
if KEYS[2] and cost ~= 0 then
    call('SET', KEYS[2], string.format(IDEM_REPLY, unpack(reply)), 'PX', ARGV[6])
end
return reply
