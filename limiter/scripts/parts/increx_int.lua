-- INCREX of integers in all their 64 bits; ends the call.
local GIGA = 1000000000

-- A 64-bit integer is high * 10^9 + low, 0 <= low < 10^9; nil for what Redis takes for no integer.
local function int_parse(text)
    local sign, digits = string.match(text, '^(%-?)([1-9]%d*)$')
    if not digits then
        return text == '0' and 0 or nil, 0
    end
    if #digits > 19 then
        return nil
    end
    local high, low = (tonumber(string.sub(digits, 1, -10)) or 0), string.sub(digits, -9) + 0
    if sign == '-' then
        high, low = -high, -low
        if low < 0 then
            high, low = high - 1, low + GIGA
        end
    end
    if high > 9223372036 or (high == 9223372036 and low > 854775807) then
        return nil
    end
    if high < -9223372037 or (high == -9223372037 and low < 145224192) then
        return nil
    end
    return high, low
end

local function int_text(high, low)
    local sign = ''
    if high < 0 then
        sign, high, low = '-', -high, -low
        if low < 0 then
            high, low = high - 1, low + GIGA
        end
    end
    if high == 0 then
        return string.format('%s%d', sign, low)
    end
    return string.format('%s%d%09d', sign, high, low)
end

local function int_reply(high, low)
    if high > -9007199 and high < 9007199 then
        return high * GIGA + low
    end
    return int_text(high, low)
end

local high, low = int_parse(stored)
if not high then
    return {err = 'ERR value is not an integer or out of range'}
end
local by_high, by_low = int_parse(increment)
local new_high, new_low = high + by_high, low + by_low
if new_low >= GIGA then
    new_high, new_low = new_high + 1, new_low - GIGA
end
local bound_high, bound_low = int_parse(ARGV[4])
local outside = new_high < bound_high or (new_high == bound_high and new_low < bound_low)
if not outside then
    bound_high, bound_low = int_parse(ARGV[5])
    outside = new_high > bound_high or (new_high == bound_high and new_low > bound_low)
end
if outside then
    if not saturate then
        return {int_reply(high, low), 0}
    end
    new_high, new_low = bound_high, bound_low
    by_high, by_low = new_high - high, new_low - low
    if by_low < 0 then
        by_high, by_low = by_high - 1, by_low + GIGA
    end
    increment = int_text(by_high, by_low)
    if not int_parse(increment) then
        return {err = 'ERR applied increment would overflow'}
    end
end
call('INCRBY', key, increment)
expire()
return {int_reply(new_high, new_low), int_reply(by_high, by_low)}
