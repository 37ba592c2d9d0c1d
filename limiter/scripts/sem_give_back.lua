-- A place that was granted when its client was gone: the caller sends it when a SEM.ACQUIRE ... WAIT ends that way.
--   KEYS     K, M (parts/sem_entry.lua)
--   ARGV[2]  token      ARGV[3]  the end of the lease as it was granted, in Unix microseconds
--   reply    1 if the place is free now; 0 if its lease has another end, as the client came back, asked again with the
--            same token and holds it now, or if there is none
--   errors   -WRONGTYPE

-- part: sem_entry
-- part: sem_remove

local key, meta, token = KEYS[1], KEYS[2], ARGV[2]
local end_us = try('ZSCORE', key, token)
if type(end_us) == 'table' then
    return end_us
end
if not end_us or end_us + 0 ~= ARGV[3] + 0 then
    return 0
end
sem_remove(key, meta, token)
return 1
