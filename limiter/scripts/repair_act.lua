-- The act of a client that checked before (ZADD, ZINCRBY, SADD, RPUSH, INCR, ...): it takes what its check reserved.
--   KEYS         K, P (parts/held.lua)
--   ARGV[2]      max >= 1
--   ARGV[3]      the owner whose reservations are taken before those of others; empty: takes none, needs free room
--   ARGV[4]      what becomes of an act without a place: record (it runs: K stays the truth and later checks see it),
--                error, or it is rejected and answered zero (:0), text ("0"), null, or above (max + 1, for a counter,
--                whose 0 would mean that nobody was there)
--   ARGV[5]      the name of the rule, for that error
--   ARGV[6]      milliseconds that K lives on when the act leaves it without an expiry; 0 leaves it so
--   ARGV[7]      the RESP version of the connection, 2 or 3: a score is a double in 3
--   ARGV[8]      ZCARD | SCARD | LLEN | GET: what tells n
--   ARGV[9]      ZSCORE | SISMEMBER: members that K has already need no place, nor does one that is named twice;
--                else empty: ARGV[10] is how many places
--   ARGV[10]     the position of the first member in ARGV      ARGV[11]  how far apart they are
--   ARGV[12]     tell | plain
--   ARGV[13...]  the command with its arguments, the key left out
--   reply        the command's own, integers beyond 2^53 rounded; all of its members are added or none. tell: [how many
--                places it needed, how many reservations it took, that reply], which the caller takes apart; an error
--                is an error
--   errors       the command's own; -LIMITED <rule> max=<max> live=<n + p>
local key, held, max, late, name = KEYS[1], KEYS[2], ARGV[2] + 0, ARGV[4], ARGV[13]
local rejected = {zero = 0, text = '0', null = false, above = max + 1}

-- part: held
-- part: mortal

-- Null is false to a script in RESP2, but in RESP3 it is nil, which would end an array, and false is a boolean.
local function run()
    if ARGV[7] == '3' then
        redis.setresp(3)
    end
    local reply = try(name, key, unpack(ARGV, 14))
    if ARGV[7] == '3' then
        redis.setresp(2)
    end
    return reply or false
end

local function is_error(reply)
    return type(reply) == 'table' and reply.err
end

local function told(want, taken, reply)
    if ARGV[12] ~= 'tell' or is_error(reply) then
        return reply
    end
    return {want, taken, reply}
end

local function missing_members()
    local missing, seen = 0, {}
    for i = ARGV[10] + 0, #ARGV, ARGV[11] + 0 do
        local known = call(ARGV[9], key, ARGV[i])
        if not seen[ARGV[i]] and (not known or known == 0) then
            seen[ARGV[i]] = true
            missing = missing + 1
        end
    end
    return missing
end

-- To what is no number or of another type nothing can be added: the command says so itself. A push that needs a list
-- adds nothing without one.
local stored = try(ARGV[8], key)
local count = stored and tonumber(stored) or not stored and 0
if not count or (count == 0 and (name == 'RPUSHX' or name == 'LPUSHX')) then
    return told(0, 0, run())
end

local want = ARGV[9] == '' and ARGV[10] + 0 or missing_members()
local taken = (want == 0 or ARGV[3] == '') and {} or held_find(held, ARGV[3], want)
local live = count + held_count(held)
-- Whoever has places for all was promised them when it checked, whatever others did to K since.
if #taken < want and live - #taken + want > max and late ~= 'record' then
    if late == 'error' then
        return {err = string.format('LIMITED %s max=%d live=%d', ARGV[5], max, live)}
    end
    return told(want, 0, rejected[late])
end
local reply = run()
if is_error(reply) then
    return reply
end
if taken[1] then
    call('ZREM', held, unpack(taken))
end
mortal(key, ARGV[6])
return told(want, #taken, reply)
