-- SEM.CHECK key token [fence]; writes nothing
--   KEYS     K, M (parts/sem_entry.lua)
--   ARGV[2]  token      ARGV[3]  only with a fence: it must be the token's
--   reply    ms left; 0 when the lease is over, or is another one than the fence's
--   errors   -WRONGTYPE

-- part: sem_entry

local end_us = try('ZSCORE', KEYS[1], ARGV[2])
if type(end_us) == 'table' then
    return end_us
end
end_us = (end_us or 0) + 0
if end_us <= now_us then
    return 0
end
if ARGV[3] and sem_entry(call('HGET', KEYS[2], ARGV[2])) ~= ARGV[3] + 0 then
    return 0
end
return math.ceil((end_us - now_us) / 1000)
