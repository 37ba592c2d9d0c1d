-- The client that checked is gone: its reservations end soon, if they would not end sooner.
--   KEYS     K, P (parts/held.lua)
--   ARGV[2]  the owner
--   ARGV[3]  in how many microseconds: it may come back on another connection, and act
--   reply    how many were shortened
local held, mine = KEYS[2], ARGV[2] .. ':'
local end_us, changed = string.format('%d', now_us + ARGV[3]), 0
for _, member in ipairs(call('ZRANGEBYSCORE', held, '(' .. end_us, '+inf', 'LIMIT', '0', '1000')) do
    if string.sub(member, 1, #mine) == mine then
        call('ZADD', held, end_us, member)
        changed = changed + 1
    end
end
return changed
