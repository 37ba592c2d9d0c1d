-- KEYS, SCAN and RANDOMKEY as if companions (limiter/companion.h) were not there. Here and not where the reply passes:
-- the length of a reply stands before its first key, so what leaves some out must have seen all.
--   KEYS        none: it looks at all
--   ARGV[2...]  the command with its arguments
--   reply       the command's own without companions; a page of SCAN may be empty, as it may anyway
--   errors      the command's own
local name = ARGV[2]

local function is_companion(key)
    return string.find(key, '^rg:{...}:[mqdpir]:') ~= nil
end

-- In place, as there may be millions.
local function without_companions(keys)
    local kept, all = 0, #keys
    for i = 1, all do
        if not is_companion(keys[i]) then
            kept = kept + 1
            keys[kept] = keys[i]
        end
    end
    for i = kept + 1, all do
        keys[i] = nil
    end
    return keys
end

local reply = try(name, unpack(ARGV, 3))
if type(reply) == 'table' and reply.err then
    return reply
end
if name == 'KEYS' then
    return without_companions(reply)
end
if name == 'SCAN' then
    return {reply[1], without_companions(reply[2])}
end
-- RANDOMKEY: again a few times, then the first that there is.
for _ = 1, 100 do
    if not reply or not is_companion(reply) then
        return reply
    end
    reply = call('RANDOMKEY')
end
local cursor = '0'
repeat
    local page = call('SCAN', cursor, 'COUNT', '1000')
    local keys = without_companions(page[2])
    if keys[1] then
        return keys[1]
    end
    cursor = page[1]
until cursor == '0'
return false
