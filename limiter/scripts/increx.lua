-- INCREX key [BYINT n | BYFLOAT x] [LBOUND n] [UBOUND n] [SATURATE] [EX|PX|EXAT|PXAT t | PERSIST] [ENX], as Redis 8.8
-- has it, for those that have not. Integers are exact in all their 64 bits.
--   KEYS[1]     the counter, an ordinary string
--   ARGV[2]     int | float
--   ARGV[3]     increment, as the reply shall show it (an integer in 64 bits, or a finite float as Redis prints one)
--   ARGV[4..5]  lower and upper bound, printed so too; without one the least and the greatest 64-bit integer, or for a
--               float "" (an infinite bound that excludes all with SATURATE is the caller's error)
--   ARGV[6]     reject | saturate
--   ARGV[7..8]  keep, or persist, or px ms from now, or pxat Unix ms; then that time, "0" without one
--   ARGV[9]     always | enx
--   reply       [new value, applied increment]; out of bounds and not saturated: [current value, 0], key and TTL
--               untouched.
--               int: integers, but one beyond 2^53 comes as a bulk string of digits, which the caller makes an integer.
--               float: bulk strings, which the caller makes doubles in RESP3. A rejected call shows the value as
--               stored; the bounds are compared as doubles, not as long doubles.
--   errors      -WRONGTYPE, -ERR value is not an integer or out of range, -ERR value is not a valid float,
--               -ERR value cannot be Infinity, -ERR applied increment would overflow, those of INCRBYFLOAT
local key, increment, saturate = KEYS[1], ARGV[3], ARGV[6] == 'saturate'

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

local stored = try('GET', key) or '0'
if type(stored) == 'table' then
    return stored
end
if ARGV[2] == 'int' then
    -- What doubles hold exactly, which is nearly every call.
    if #stored < 16 and #increment < 16 and (stored == '0' or string.find(stored, '^%-?[1-9]%d*$')) then
        local new = stored + increment
        if new >= ARGV[4] + 0 and new <= ARGV[5] + 0 then
            call('INCRBY', key, increment)
            expire()
            return {new, increment + 0}
        end
    end
    -- part: increx_int
end
-- part: increx_float
