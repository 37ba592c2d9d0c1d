-- Put in front of a script by the tests only: a clock that the last ARGV sets, in microseconds, and keys that expire by
-- it. It shadows `redis`, so the script beneath runs as it is. Also fails what touches a key that KEYS does not
-- declare.
local clock_us = table.remove(ARGV) + 0
local declared = {}
for _, key in ipairs(KEYS) do declared[key] = true end
local real = redis

local function expire(key)
    local at_ms = real.call('GET', 'expires:' .. key)
    if at_ms and math.floor(clock_us / 1000) > at_ms + 0 then real.call('DEL', key, 'expires:' .. key) end
end

local function expire_at(key, at_ms)
    if at_ms <= math.floor(clock_us / 1000) then return real.call('DEL', key, 'expires:' .. key) end
    real.call('SET', 'expires:' .. key, string.format('%d', at_ms))
    return 1
end

local own = {}
function own.TIME() return {string.format('%d', clock_us / 1000000), string.format('%d', clock_us % 1000000)} end
function own.PEXPIRE(_, key, ms)
    return real.call('EXISTS', key) == 1 and expire_at(key, math.floor(clock_us / 1000) + ms) or 0
end
function own.PEXPIREAT(_, key, at_ms) return real.call('EXISTS', key) == 1 and expire_at(key, at_ms + 0) or 0 end
function own.PERSIST(_, key) return real.call('DEL', 'expires:' .. key) end
function own.PTTL(_, key)
    if real.call('EXISTS', key) == 0 then return -2 end
    local at_ms = real.call('GET', 'expires:' .. key)
    return at_ms and at_ms - math.floor(clock_us / 1000) or -1
end
function own.SET(run, key, value, unit, ms)
    local reply = run('SET', key, value)
    if type(reply) == 'table' and reply.err then return reply end
    real.call('DEL', 'expires:' .. key)
    if unit then expire_at(key, math.floor(clock_us / 1000) + ms) end
    return reply
end

local function virtual(run)
    return function(name, ...)
        local args = {...}
        for i = 1, name == 'DEL' and #args or name == 'TIME' and 0 or 1 do
            assert(declared[args[i]], 'undeclared key of ' .. name)
            expire(args[i])
        end
        if own[name] then return own[name](run, ...) end
        local reply = run(name, ...)
        if real.call('EXISTS', args[1]) == 0 then real.call('DEL', 'expires:' .. args[1]) end
        return reply
    end
end

local redis = {call = virtual(real.call), pcall = virtual(real.pcall), setresp = real.setresp}
