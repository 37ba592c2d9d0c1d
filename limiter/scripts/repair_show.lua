-- A client's own script on keys whose reservations it knows nothing of: it sees them, as members of the key. It stands
-- before all this as the function client(KEYS, ARGV), see limiter/limit_call.h.
--   KEYS       the client's, then P (parts/held.lua) of each of those that may have reservations
--   ARGV[2]    how many are the client's
--   ARGV[3...] which of those each P belongs to, then the client's own arguments
--   reply      the script's own
--   errors     the script's own, without the trace
-- What counts is put into the key with the score +inf, so that no purge by age takes it, and taken out again.
local own, shown = ARGV[2] + 0, {}
local last = 2 + #KEYS - own

local function show(key, held)
    local skip = 0
    repeat
        local from = string.format('%d', now_us + 1)
        local page = call('ZRANGEBYSCORE', held, from, '+inf', 'LIMIT', string.format('%d', skip), '1000')
        for _, member in ipairs(page) do
            local reply = try('ZADD', key, '+inf', member)
            if type(reply) == 'table' then
                return
            end
            if reply > 0 then
                shown[#shown + 1] = {key, member}
            end
        end
        skip = skip + 1000
    until #page < 1000
end

for i = 3, last do
    show(KEYS[ARGV[i] + 0], KEYS[own + i - 2])
end
local good, reply = pcall(client, {unpack(KEYS, 1, own)}, {unpack(ARGV, last + 1)})
for _, one in ipairs(shown) do
    try('ZREM', one[1], one[2])
end
if good then
    return reply
end
if type(reply) == 'table' then
    return {err = reply.err}
end
return {err = string.find(reply, '^%u+ ') and reply or 'ERR ' .. reply}
