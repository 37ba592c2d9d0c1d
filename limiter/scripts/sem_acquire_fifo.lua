-- SEM.ACQUIRE key max lease_ms token [COST w] [WAIT ms] FIFO [SLOTS]. WAIT is the caller's: it asks again, in time.
--   KEYS     K, M, Q, D, then with reservations P (parts/sem_entry.lua, parts/queue.lua)
--   ARGV[2]  max >= 1, at most 1000 with slots      ARGV[3]  lease in microseconds, >= 1
--   ARGV[4]  token, not empty, not beginning with \0      ARGV[5]  weight 1..1000; 1 with slots
--   ARGV[6]  plain | slots
--   ARGV[7]  microseconds after which a waiter that did not ask again loses its ticket: three polls
--   reply    as sem_acquire.lua. Who came earlier and still asks goes first, whatever it weighs. denied: reason 8,
--            queue_pos is the weight that waits before it, retry_after when that much leases will have ended, or all
--            there are.
--   errors   -WRONGTYPE
local reserved = KEYS[5]

-- part: sem_entry
-- part: sem
-- part: sem_admit
-- part: queue
-- part: sem_ask

local ahead, ticket = queue_ahead(KEYS[3], KEYS[4], token)
local missing = live + provisional + ahead + weight - max
if missing > 0 then
    queue_wait(KEYS[3], KEYS[4], token, weight, ticket, ARGV[7] + 0)
    local retry = sem_retry(key, reserved, live, missing)
    return {0, live + provisional, max, 0, 0, -1, 0, retry, ahead, 8}
end
if ticket then
    queue_leave(KEYS[3], KEYS[4], token, weight)
end

-- part: sem_take
