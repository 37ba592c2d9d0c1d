-- INCR, INCRBY, DECR, DECRBY and INCRBYFLOAT of a counter that shall end: no crash of its client leaves it immortal.
--   KEYS        the counter
--   ARGV[2]     its life in milliseconds if it has no expiry; one that is there stays, and a later EXPIRE wins
--   ARGV[3]     cap, or empty: an increment beyond it is not stored, and the reply is cap + 1
--   ARGV[4]     by how much an integer counter rises, for the cap
--   ARGV[5...]  the command with its arguments, the key left out
--   reply       the command's own; cap + 1, never cap, when it was not stored: who admits up to cap would go on for
--               ever. Integers beyond 2^53 are rounded as Lua does.
--   errors      the command's own

-- part: mortal

local key = KEYS[1]
if ARGV[3] ~= '' then
    local stored = try('GET', key)
    local count = type(stored) ~= 'table' and tonumber(stored or '0')
    if count and count + ARGV[4] > ARGV[3] + 0 then
        mortal(key, ARGV[2])
        return ARGV[3] + 1
    end
end
local reply = try(ARGV[5], key, unpack(ARGV, 6))
if type(reply) == 'table' then
    return reply
end
mortal(key, ARGV[2])
return reply
