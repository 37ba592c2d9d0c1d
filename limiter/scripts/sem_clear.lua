-- SEM.REVOKE key *
--   KEYS     K, M (parts/sem_entry.lua)
--   reply    how much weight was live; all of it is free now. Waiters stay, and fences go on from the last one.
--   errors   -WRONGTYPE
local live = try('ZCOUNT', KEYS[1], string.format('%d', now_us + 1), '+inf')
if type(live) == 'table' then
    return live
end
call('DEL', KEYS[1])
for _, token in ipairs(call('HKEYS', KEYS[2])) do
    if token ~= '\0f' and token ~= '\0t' then
        call('HDEL', KEYS[2], token)
    end
end
return live
