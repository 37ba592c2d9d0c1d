-- How every SEM.ACQUIRE begins: it reads K and M, and answers at once when the token is held already or weighs too
-- much. Not a function, as it ends the call. What it leaves: key, meta, max, lease_us, token, weight, slots, reserved
-- (P or nil), live (K's alone), provisional (P's), last_fence, until_us.
local key, meta = KEYS[1], KEYS[2]
local max, lease_us, token, weight, slots = ARGV[2] + 0, ARGV[3] + 0, ARGV[4], ARGV[5] + 0, ARGV[6] == 'slots'

local from_us, provisional = string.format('%d', now_us + 1), 0
local live = try('ZCOUNT', key, from_us, '+inf')
if type(live) == 'table' then
    return live
end
if reserved then
    provisional = call('ZCOUNT', reserved, from_us, '+inf')
end

local known = call('HMGET', meta, '\0f', '\0t', token)
local last_fence, until_us = (known[1] or 0) + 0, (known[2] or 0) + 0
if known[3] then
    local held_us = (call('ZSCORE', key, token) or 0) + 0
    if held_us > now_us then
        local fence, slot, its_weight = sem_entry(known[3])
        local end_us = math.max(held_us, now_us + lease_us)
        if end_us > held_us then
            sem_put(key, token, its_weight, end_us)
            sem_keep(key, meta, until_us, end_us, lease_us, live)
        end
        local left_ms = math.ceil((end_us - now_us) / 1000)
        return {1, live + provisional, max, left_ms, fence, slot, 1, -1, -1, 0}
    end
end
if weight > max then
    return {0, live + provisional, max, 0, 0, -1, 0, -2, -1, 3}
end
