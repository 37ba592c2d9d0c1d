-- SEM.RENEW key token lease_ms [fence]
--   KEYS     K, M (parts/sem_entry.lua)
--   ARGV[2]  token      ARGV[3]  lease in microseconds, >= 1      ARGV[4]  only with a fence: it must be the token's
--   reply    ms left, of the longer of the old lease and the new; 0 when the lease is lost, which nothing revives
--   errors   -WRONGTYPE

-- part: sem_entry
-- part: sem

local key, meta, token, lease_us = KEYS[1], KEYS[2], ARGV[2], ARGV[3] + 0
local held_us = try('ZSCORE', key, token)
if type(held_us) == 'table' then
    return held_us
end
held_us = (held_us or 0) + 0
if held_us <= now_us then
    return 0
end
local known = call('HMGET', meta, '\0t', token)
local fence, _, weight = sem_entry(known[2])
if ARGV[4] and ARGV[4] + 0 ~= fence then
    return 0
end
local end_us = math.max(held_us, now_us + lease_us)
if end_us > held_us then
    sem_put(key, token, weight, end_us)
    sem_keep(key, meta, (known[1] or 0) + 0, end_us, lease_us, 1)
end
return math.ceil((end_us - now_us) / 1000)
