-- RESPGATE LEASES rule subject; writes nothing, and tells of no token
--   KEYS     K, P, D (parts/sem_entry.lua, parts/queue.lua)
--   ARGV[2]  max
--   reply    lines of name:number, as INFO has them: held, reserved and waiting by weight; max; in how many ms the first
--            and the last lease end, -1 without any
--   errors   -WRONGTYPE
local from, counts = string.format('%d', now_us + 1), {}
for i, key in ipairs(KEYS) do
    local count = try('ZCOUNT', key, from, '+inf')
    if type(count) == 'table' then
        return count
    end
    counts[i] = count
end
local function ends_ms(entries)
    return entries[2] and math.ceil((entries[2] - now_us) / 1000) or -1
end
local first_ms, last_ms = -1, -1
if counts[1] > 0 then
    first_ms = ends_ms(call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', '0', '1'))
    last_ms = ends_ms(call('ZREVRANGE', KEYS[1], '0', '0', 'WITHSCORES'))
end
return string.format('held:%d\r\nmax:%d\r\nreserved:%d\r\nwaiting:%d\r\nfirst_ends_ms:%d\r\nlast_ends_ms:%d\r\n',
    counts[1], ARGV[2], counts[2], counts[3], first_ms, last_ms)
