-- SEM.COUNT key; writes nothing
--   KEYS     K, P, D (parts/sem_entry.lua, parts/queue.lua)
--   reply    [live, provisional, waiting], each by weight
--   errors   -WRONGTYPE
local from, counts = string.format('%d', now_us + 1), {}
for i, key in ipairs(KEYS) do
    local count = try('ZCOUNT', key, from, '+inf')
    if type(count) == 'table' then
        return count
    end
    counts[i] = count
end
return counts
