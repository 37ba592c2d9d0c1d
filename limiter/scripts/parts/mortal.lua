-- A client that dies between its write and its EXPIRE leaves a key that never ends, and with it a limit that never
-- opens again. Heals what was left so, too; an expiry that is there stays.
local function mortal(key, ttl_ms)
    if ttl_ms ~= '0' and call('PTTL', key) == -1 then
        call('PEXPIRE', key, ttl_ms)
    end
end
