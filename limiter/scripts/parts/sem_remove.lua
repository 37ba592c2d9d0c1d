-- What takes a holder out of a semaphore, see parts/sem_entry.lua.
local function sem_remove(key, meta, token)
    local _, _, weight = sem_entry(call('HGET', meta, token))
    call('ZREM', key, token)
    for part = 2, weight do
        call('ZREM', key, sem_part(part, token))
    end
    call('HDEL', meta, token)
end
