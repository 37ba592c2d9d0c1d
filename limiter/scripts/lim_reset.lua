-- LIM.RESET key [key ...]
--   KEYS     the keys, then their companions
--   ARGV[2]  how many of KEYS are the client's own
--   reply    how many of those there were
local cleared = 0
for i, key in ipairs(KEYS) do
    local removed = call('DEL', key)
    if i <= ARGV[2] + 0 then
        cleared = cleared + removed
    end
end
return cleared
