-- INCREX key [BYINT n | BYFLOAT x] [LBOUND n] [UBOUND n] [SATURATE] [EX|PX|EXAT|PXAT t | PERSIST] [ENX], as Redis 8.8 has it,
-- for those that have not. Integers are exact in all their 64 bits.
--   KEYS[1]     the counter, an ordinary string
--   ARGV[2]     int | float
--   ARGV[3]     increment, as the reply shall show it (an integer in 64 bits, or a finite float as Redis prints one)
--   ARGV[4..5]  lower and upper bound, printed so too; without one the least and the greatest 64-bit integer, or for a
--               float "" (an infinite bound that excludes all with SATURATE is the caller's error)
--   ARGV[6]     reject | saturate
--   ARGV[7..8]  keep, or persist, or px ms from now, or pxat Unix ms; then that time, "0" without one
--   ARGV[9]     always | enx
--   reply       [new value, applied increment]; out of bounds and not saturated: [current value, 0], key and TTL untouched.
--               int: integers, but one beyond 2^53 comes as a bulk string of digits, which the caller makes an integer.
--               float: bulk strings, which the caller makes doubles in RESP3. A rejected call shows the value as stored; the
--               bounds are compared as doubles, not as long doubles.
--   errors      -WRONGTYPE, -ERR value is not an integer or out of range, -ERR value is not a valid float,
--               -ERR value cannot be Infinity, -ERR applied increment would overflow, those of INCRBYFLOAT
local key, increment, saturate = KEYS[1], ARGV[3], ARGV[6] == 'saturate'
local GIGA = 1000000000

local function expire()
    local mode = ARGV[7]
    if mode == 'keep' or (ARGV[9] == 'enx' and call('PTTL', key) ~= -1) then
        return
    end
    if mode == 'persist' then
        call('PERSIST', key)
    elseif mode == 'px' then
        call('PEXPIRE', key, ARGV[8])
    else
        call('PEXPIREAT', key, ARGV[8])
    end
end

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

local function int_increment(stored)
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
end

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

local function float_increment(stored)
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
end

local stored = try('GET', key) or '0'
if type(stored) == 'table' then
    return stored
end
if ARGV[2] == 'int' then
    return int_increment(stored)
end
return float_increment(stored)
