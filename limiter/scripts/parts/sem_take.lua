-- How every SEM.ACQUIRE ends that is granted: in the lowest slot that no live holder has, if it wants one.
local slot = -1
if slots then
    local taken = {}
    local tokens = call('ZRANGEBYSCORE', key, from_us, '+inf')
    if tokens[1] then
        for _, entry in ipairs(call('HMGET', meta, unpack(tokens))) do
            local _, its_slot = sem_entry(entry)
            taken[its_slot] = true
        end
    end
    repeat
        slot = slot + 1
    until not taken[slot]
end
local fence = sem_grant(key, meta, token, weight, lease_us, last_fence, until_us, live, slot)
return {1, live + provisional + weight, max, math.ceil(lease_us / 1000), fence, slot, 0, -1, -1, 0}
