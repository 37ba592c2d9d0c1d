-- LIM.GCRA key limit count period_ms [COST q] [PEEK|PARTIAL] [DELAY ms] [IDEM id], and LIM.REFUND key GCRA ...
--   KEYS[1]  the TAT (parts/tat.lua), shared with CL.THROTTLE      KEYS[2]  only with IDEM: companion of key and id
--   ARGV[2]  take | peek (writes nothing) | partial (takes min(q, what is left), at least 1) | refund (at most
--            all that is taken)
--   ARGV[3]  limit >= 1, the largest burst
--   ARGV[4]  e >= 1, the emission interval period / count in whole units
--   ARGV[5]  ns of a unit: 1 if e * (limit + cost) + delay < 2^53 ns, else 1000
--   ARGV[6]  cost >= 1      ARGV[7]  delay in units, 0 without DELAY      ARGV[8]  ms for which an IDEM reply is kept
--   reply    [allowed, limit, remaining, retry_after_ms, reset_after_ms, next_after_ms, charged, reason]
--            denied: retry_after is exact, -2 and reason 3 when cost > limit. Allowed: -1, or with DELAY and reason 8
--            the ms to wait before acting. A partial call is denied only while not even 1 is left; retry_after is for
--            that 1. A refund is allowed, charged = -(what it gave back). A repeated IDEM (reason 10) has the charged
--            of the first call.
--   errors   -WRONGTYPE, -ERR key does not hold a limiter state

-- part: tat
-- part: gcra
-- part: idem

local mode, limit, e, unit = ARGV[2], ARGV[3] + 0, ARGV[4] + 0, ARGV[5] + 0
local cost, delay = ARGV[6] + 0, ARGV[7] + 0

local ahead, failure = gcra_load(KEYS[1], unit)
if not ahead then
    return failure
end

if mode == 'partial' then
    cost = math.min(cost, limit, math.max(1, math.floor((limit * e + delay - ahead) / e)))
end
local retry, reason, charged = -1, 0, 0
if mode == 'refund' then
    charged = -math.min(cost, math.ceil(ahead / e))
    cost = -cost
else
    retry, reason = gcra_verdict(ahead, limit, e, unit, cost, delay)
    charged = cost
end
if reason ~= 0 or mode == 'peek' or charged == 0 then
    return gcra_reply(retry, reason, ahead, limit, e, unit, 0)
end

ahead = math.max(0, ahead + cost * e)
gcra_store(KEYS[1], ahead, unit)
local reply = gcra_reply(retry, reason, ahead, limit, e, unit, charged)
if ahead > limit * e and mode ~= 'refund' then
    reply[4], reply[8] = math.ceil((ahead - limit * e) * unit / 1000000), 8
end
if KEYS[2] then
    call('SET', KEYS[2], string.format(IDEM_REPLY, unpack(reply)), 'PX', ARGV[8])
end
return reply
