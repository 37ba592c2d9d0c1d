-- Shows reservations to a client's own script, which knows K only: sent before and after it within one MULTI.
--   KEYS     K, P (parts/held.lua)
--   ARGV[2]  show: K gets the reservations that count, with the score +inf, so that no purge by age takes them;
--            hide: they are taken out again
--   reply    how many were put in or taken out
--   errors   -WRONGTYPE
local key, held = KEYS[1], KEYS[2]
local changed, skip = 0, 0
repeat
    local from = ARGV[2] == 'show' and string.format('(%d', now_us) or '-inf'
    local page = call('ZRANGEBYSCORE', held, from, '+inf', 'LIMIT', string.format('%d', skip), '1000')
    for _, member in ipairs(page) do
        local reply
        if ARGV[2] == 'show' then
            reply = try('ZADD', key, '+inf', member)
        else
            reply = try('ZREM', key, member)
        end
        if type(reply) == 'table' then
            return reply
        end
        changed = changed + reply
    end
    skip = skip + 1000
until #page < 1000
return changed
