-- The check of a client that checks first and acts later (ZCARD, ZCOUNT, SCARD, LLEN, GET): it reserves.
--   KEYS        K, P (parts/held.lua)
--   ARGV[2]     max: below it a place is reserved; 0 refuses
--   ARGV[3]     for how long, in microseconds; 0 looks only: reserves nothing, writes nothing
--   ARGV[4]     the reservation's name, owner:number, used once
--   ARGV[5]     refused: the least count that a check is told which got no place
--   ARGV[6...]  the command with its arguments, the key left out
--   reply       what the command would say with all other reservations in K: n + p, at least `refused` without a place.
--               GET: as text, null while there is neither key nor reservation; a value that is no number, or one of
--               more than 15 digits, as it is.
--   errors      the command's own: -WRONGTYPE and those of ZCOUNT
local key, held, max, hold_us, refused = KEYS[1], KEYS[2], ARGV[2] + 0, ARGV[3] + 0, ARGV[5] + 0

-- part: held

local stored = try(ARGV[6], key, unpack(ARGV, 7))
if type(stored) == 'table' then
    return stored
end
local text = ARGV[6] == 'GET'
if text and stored and not (#stored < 16 and string.find(stored, '^%-?%d+$')) then
    return stored
end
local others = held_count(held)
local count = (stored or 0) + others
if count >= max then
    count = math.max(count, refused)
elseif hold_us > 0 then
    held_add(held, ARGV[4], hold_us)
end
if not text then
    return count
end
if stored and count == stored + 0 then
    return stored
end
return (stored or count > 0) and string.format('%d', count)
