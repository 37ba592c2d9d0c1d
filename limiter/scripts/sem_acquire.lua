-- SEM.ACQUIRE key max lease_ms token [COST w] [WAIT ms] [SLOTS]. WAIT is the caller's: it asks again.
--   KEYS     K, M, then with reservations P (parts/sem_entry.lua)
--   ARGV[2]  max >= 1, at most 1000 with slots      ARGV[3]  lease in microseconds, >= 1
--   ARGV[4]  token, not empty, not beginning with \0      ARGV[5]  weight 1..1000; 1 with slots
--   ARGV[6]  plain | slots
--   reply    [granted, live, max, lease_left_ms, fence, slot | -1, already, retry_after_ms, queue_pos | -1, reason]
--            live is the weight that counts afterwards, reservations and this token included. A token that is held
--            already is granted again, uncounted: same fence, slot and weight, its lease extended and never shortened.
--            denied: fence 0, lease_left 0; retry_after is exact if nobody comes, goes or renews, an upper bound else,
--            -2 and reason 3 when weight > max.
--   errors   -WRONGTYPE
local reserved = KEYS[3]

-- part: sem_entry
-- part: sem
-- part: sem_admit
-- part: sem_ask

local missing = live + provisional + weight - max
if missing > 0 then
    local retry = sem_retry(key, reserved, live, missing)
    return {0, live + provisional, max, 0, 0, -1, 0, retry, -1, 1}
end

-- part: sem_take
