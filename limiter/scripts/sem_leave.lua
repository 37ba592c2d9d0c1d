-- A waiter gives up: the caller sends it when the WAIT of a SEM.ACQUIRE ... FIFO is over or its client is gone.
--   KEYS     Q, D (parts/queue.lua)
--   ARGV[2]  token      ARGV[3]  the weight it waited for
--   reply    1 if it had a ticket, else 0

-- part: sem_entry
-- part: queue

local _, ticket = queue_ahead(KEYS[1], KEYS[2], ARGV[2])
if not ticket then
    return 0
end
queue_leave(KEYS[1], KEYS[2], ARGV[2], ARGV[3] + 0)
return 1
