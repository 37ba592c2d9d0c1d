-- SEM.HOLDERS key [COUNT n]; writes nothing
--   KEYS     K, M (parts/sem_entry.lua)
--   ARGV[2]  n >= 1, at most 1000
--   reply    [[token, ms left, fence], ...], the first to expire first; fence 0 for what others put into K
--   errors   -WRONGTYPE

-- part: sem_entry

local from, skip, count, holders = string.format('%d', now_us + 1), 0, ARGV[2] + 0, {}
repeat
    local page = try('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', string.format('%d', skip), '1000')
    if page.err then
        return page
    end
    for i = 1, #page, 2 do
        if string.byte(page[i]) ~= 0 and #holders < count then
            local fence = sem_entry(call('HGET', KEYS[2], page[i]))
            holders[#holders + 1] = {page[i], math.ceil((page[i + 1] - now_us) / 1000), fence}
        end
    end
    skip = skip + 1000
until #page < 2000 or #holders == count
return holders
