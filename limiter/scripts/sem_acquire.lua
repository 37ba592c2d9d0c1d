-- SEM.ACQUIRE key max lease_ms token [COST w] [WAIT ms] [FIFO] [SLOTS]. WAIT is the caller's: it asks again.
-- uses: sem queue
--   KEYS     K, M, then with FIFO or reservations Q, D, then with reservations P (parts/sem.lua, parts/queue.lua)
--   ARGV[2]  max >= 1      ARGV[3]  lease in microseconds, >= 1
--   ARGV[4]  token, not empty, not beginning with \0      ARGV[5]  weight 1..1000; 1 with SLOTS
--   ARGV[6]  plain | slots | fifo | fifo+slots
--   ARGV[7]  with fifo: microseconds after which a waiter that did not ask again has lost its ticket (3 polls)
--   reply    [granted, live, max, lease_left_ms, fence, slot | -1, already, retry_after_ms, queue_pos | -1, reason]
--            live is the weight that counts afterwards, this token's included if granted. A token that is held already
--            is granted again, uncounted: same fence, slot and weight, its lease extended and never shortened.
--            denied: fence 0, lease_left 0; retry_after is exact if nobody comes, goes or renews, an upper bound else, -2
--            and reason 3 when weight > max; with fifo reason 8, and queue_pos is the weight that waits before it.
--   errors   -WRONGTYPE
local key, meta, reserved = KEYS[1], KEYS[2], KEYS[5]
local max, lease_us, token, weight, mode = ARGV[2] + 0, ARGV[3] + 0, ARGV[4], ARGV[5] + 0, ARGV[6]
local fifo = mode == 'fifo' or mode == 'fifo+slots'

local live, provisional = sem_live(key, reserved)
if not live then
    return provisional
end
local known = call('HMGET', meta, '\0f', '\0t', token)
local last_fence, until_us = (known[1] or 0) + 0, (known[2] or 0) + 0

local held_us = known[3] and sem_end(key, token)
if held_us then
    local fence, slot, its_weight = sem_entry(known[3])
    local end_us = now_us + lease_us
    if end_us > held_us then
        sem_put(key, token, its_weight, end_us)
        sem_keep(key, meta, until_us, end_us, lease_us, live)
    end
    local left_ms = math.ceil((math.max(held_us, end_us) - now_us) / 1000)
    return {1, live + provisional, max, left_ms, fence, slot, 1, -1, -1, 0}
end
if weight > max then
    return {0, live + provisional, max, 0, 0, -1, 0, -2, -1, 3}
end

local ahead, ticket = 0, nil
if fifo then
    ahead, ticket = queue_ahead(KEYS[3], KEYS[4], token)
end
local missing = live + provisional + ahead + weight - max
if missing > 0 then
    local retry = sem_retry(key, reserved, live, missing)
    if not fifo then
        return {0, live + provisional, max, 0, 0, -1, 0, retry, -1, 1}
    end
    queue_wait(KEYS[3], KEYS[4], token, weight, ticket, ARGV[7] + 0)
    return {0, live + provisional, max, 0, 0, -1, 0, retry, ahead, 8}
end

if ticket then
    queue_leave(KEYS[3], KEYS[4], token, weight)
end
local slot = -1
if mode == 'slots' or mode == 'fifo+slots' then
    slot = sem_free_slot(key, meta)
end
local fence = sem_grant(key, meta, token, weight, lease_us, last_fence, until_us, live, slot)
return {1, live + provisional + weight, max, math.ceil(lease_us / 1000), fence, slot, 0, -1, -1, 0}
