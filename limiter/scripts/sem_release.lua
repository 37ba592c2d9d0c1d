-- SEM.RELEASE key token [token ...] and SEM.REVOKE key token
--   KEYS        K, M (parts/sem_entry.lua)
--   ARGV[2...]  tokens, at most 1000
--   reply       the number of tokens whose lease was running; one that had expired is not counted
--   errors      -WRONGTYPE

-- part: sem_entry
-- part: sem_remove

local key, meta, released = KEYS[1], KEYS[2], 0
for i = 2, #ARGV do
    local token = ARGV[i]
    local end_us = try('ZSCORE', key, token)
    if type(end_us) == 'table' then
        return end_us
    end
    if end_us then
        sem_remove(key, meta, token)
        if end_us + 0 > now_us then
            released = released + 1
        end
    end
end
return released
