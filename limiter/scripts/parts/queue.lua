-- The waiters of a fair semaphore, in two companions: Q, a sorted set of tickets in the order they came, and D, of the
-- time until which each waiter is believed to be there. A waiter of weight w has w members in each, as in
-- parts/sem_entry.lua, so that the rank of a ticket is the weight before it. Who does not ask again in time loses its
-- ticket.

local function queue_members(token, weight)
    local members = {token}
    for i = 2, weight do
        members[i] = sem_part(i, token)
    end
    return members
end

-- Drops the waiters that are gone; the weight before the token, whose ticket is the second result, if it has one.
local function queue_ahead(tickets, waiters, token)
    repeat
        local gone = call('ZRANGEBYSCORE', waiters, '-inf', string.format('%d', now_us), 'LIMIT', '0', '1000')
        if gone[1] then
            call('ZREM', waiters, unpack(gone))
            call('ZREM', tickets, unpack(gone))
        end
    until #gone < 1000
    local ticket = call('ZSCORE', tickets, token)
    if ticket then
        return call('ZCOUNT', tickets, '-inf', string.format('%d', ticket - 1)), ticket
    end
    return call('ZCARD', tickets), nil
end

-- Takes a ticket or keeps the one it has, and is believed to wait for patience_us more.
local function queue_wait(tickets, waiters, token, weight, ticket, patience_us)
    if not ticket then
        local last = call('ZREVRANGE', tickets, '0', '0', 'WITHSCORES')
        ticket = string.format('%d', math.max(now_us, (last[2] or 0) + 1))
    end
    for _, member in ipairs(queue_members(token, weight)) do
        call('ZADD', tickets, ticket, member)
        call('ZADD', waiters, string.format('%d', now_us + patience_us), member)
    end
    local ttl_ms = string.format('%d', math.ceil(patience_us / 1000) + 1)
    call('PEXPIRE', tickets, ttl_ms)
    call('PEXPIRE', waiters, ttl_ms)
end

local function queue_leave(tickets, waiters, token, weight)
    local members = queue_members(token, weight)
    call('ZREM', tickets, unpack(members))
    call('ZREM', waiters, unpack(members))
end
