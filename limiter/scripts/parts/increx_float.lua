-- INCREX of floats; ends the call.

-- The shortest decimal that is this double.
local function float_text(number)
    for precision = 15, 17 do
        local text = string.format('%.' .. precision .. 'g', number)
        if tonumber(text) == number and not string.find(text, 'e', 1, true) then
            return text
        end
    end
    return (string.gsub(string.format('%.17f', number), '%.?0+$', ''))
end

local current = not string.find(stored, '%s') and tonumber(stored)
if not current or current ~= current then
    return {err = 'ERR value is not a valid float'}
end
if current == math.huge or current == -math.huge then
    return {err = 'ERR value cannot be Infinity'}
end
local bound
if ARGV[4] ~= '' and current + increment < ARGV[4] + 0 then
    bound = ARGV[4]
elseif ARGV[5] ~= '' and current + increment > ARGV[5] + 0 then
    bound = ARGV[5]
end
if bound and not saturate then
    return {stored, '0'}
end
if bound then
    local ttl_ms = call('PTTL', key)
    call('SET', key, bound)
    if ttl_ms >= 0 then
        call('PEXPIRE', key, string.format('%d', ttl_ms))
    end
    expire()
    return {bound, float_text(bound - current)}
end
local new = try('INCRBYFLOAT', key, increment)
if type(new) == 'table' then
    return new
end
expire()
return {new, increment}
