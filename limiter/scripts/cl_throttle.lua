-- CL.THROTTLE key max_burst count period [quantity]: answers as redis-cell does, but ends neither the server nor the
-- limit above 1000 per second. All 64-bit results of the parameters come from the caller, as seconds and
-- nanoseconds >= 0, so that no double holds more than 53 bits: x = s * 1e9 + ns, for a negative x as well.
--   KEYS[1]     the TAT (parts/tat.lua)
--   ARGV[2]     L = max_burst + 1
--   ARGV[3..4]  dvt = E * L as s, ns; E = trunc(period / count) in ns, at least 1
--   ARGV[5..6]  inc = E * quantity as s, ns; 0 only looks, a negative one gives back (never below empty)
--   ARGV[7..8]  E for `remaining`: E / 1000 and "1000" (redis-cell divides microseconds), or E and "1" below 1000 ns
--   ARGV[9]     from how many ns on a rest of retry_after counts as a second: "1", or "1000000" to equal redis-cell
--   reply       [limited 0|1, L, remaining, retry_after s | -1, reset_after s]; limited writes nothing
--   errors      -WRONGTYPE, -ERR key does not hold a limiter state, -ERR value is out of range (TAT beyond 64 bits)

-- part: tat

local now_s, now_ns = clock[1] + 0, clock[2] * 1000
local limit, dvt_s, dvt_ns = ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local inc_s, inc_ns = ARGV[5] + 0, ARGV[6] + 0

local base_s, base_ns = now_s, now_ns
local stored = try('GET', KEYS[1])
if stored then
    local s, ns = tat_parse(stored)
    if not s then
        return ns
    end
    if s > now_s or (s == now_s and ns > now_ns) then
        base_s, base_ns = s, ns
    end
end

local tat_s, tat_ns = base_s + inc_s, base_ns + inc_ns
if tat_ns >= 1000000000 then
    tat_s, tat_ns = tat_s + 1, tat_ns - 1000000000
end

-- How much too early the call is: tat - dvt - now.
local early_ns = tat_ns - dvt_ns - now_ns
local borrow = math.floor(early_ns / 1000000000)
local early_s = tat_s - dvt_s - now_s + borrow
early_ns = early_ns - borrow * 1000000000

local limited, retry = 0, -1
if early_s > 0 or (early_s == 0 and early_ns > 0) then
    limited = 1
    if inc_s < dvt_s or (inc_s == dvt_s and inc_ns <= dvt_ns) then
        retry = early_s + (early_ns >= ARGV[9] + 0 and 1 or 0)
    end
    tat_s, tat_ns = base_s, base_ns
elseif tat_s >= 9223372036 then
    return {err = 'ERR value is out of range'}
end

local reset_s, reset_ns = tat_s - now_s, tat_ns - now_ns
if reset_ns < 0 then
    reset_s, reset_ns = reset_s - 1, reset_ns + 1000000000
end
if reset_s < 0 then
    reset_s, reset_ns = 0, 0
end

if limited == 0 and (inc_s ~= 0 or inc_ns ~= 0) then
    if reset_s > 0 or reset_ns > 0 then
        tat_store(KEYS[1], tat_s, tat_ns, reset_s, reset_ns)
    elseif stored then
        call('DEL', KEYS[1])
    end
end

local room_s, room_ns = dvt_s - reset_s, dvt_ns - reset_ns
if room_ns < 0 then
    room_s, room_ns = room_s - 1, room_ns + 1000000000
end
local remaining = 0
if room_s >= 0 then
    local unit = ARGV[8] + 0
    local room = room_s * (1000000000 / unit) + math.floor(room_ns / unit)
    remaining = math.min(math.floor(room / ARGV[7]), limit)
end
return {limited, limit, remaining, retry, reset_s + (reset_ns >= 1000000 and 1 or 0)}
