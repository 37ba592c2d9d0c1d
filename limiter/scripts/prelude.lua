-- Comes first in every script (see assemble.py). The rules that all scripts share:
--   KEYS     every key that is touched, companions included; the caller makes their names and they share one slot.
--   ARGV[1]  deadline: the last microsecond of the backend's clock at which the call may still run; 9007199254740991 is
--            never. Later than that nothing is read or written and the reply is the error RGUNAVAIL.
--   numbers  are decimal without a leading +, checked by the caller, below 2^53, so that a double holds them exactly.
--   time     is read here, once: 7.0 does not freeze TIME within a script.
--            A command gets a number as a string: Redis takes three times as long to print one than string.format.
-- The first command on a key the client named goes through `try`: what it returns is the backend's own error text.
local call, try = redis.call, redis.pcall
local clock = call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
if now_us > ARGV[1] + 0 then
    return {err = 'RGUNAVAIL the limiter call came after its deadline and did nothing, safe to retry'}
end
