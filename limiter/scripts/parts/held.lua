-- Reservations of clients that check first and act later. They lie in the companion P of the client's key K: a sorted
-- set, "owner:number" -> end in Unix microseconds; one counts while now < end. SEM.* counts them too
-- (parts/sem_entry.lua). n is what K holds, p the reservations that count: a check adds one to p only while
-- n + p < max, an act moves what it took from p to n or needs room, so n + p <= max after every call.

-- How many count. Writes nothing, so that a connection that WATCHes P may look.
local function held_count(held)
    return call('ZCOUNT', held, string.format('%d', now_us + 1), '+inf')
end

-- What the act of an owner takes: up to `want` of its own, then the oldest of others. Any will do, since pools swap
-- connections; but never the newest, which leaves a client that has checked with one that ends before its own would
-- have. A client that gets another one at most as old as its own check is never late; only where connections are
-- swapped can it be one from before it, by up to one client's pause for each swap: a hold lasts several such pauses.
-- Beyond the oldest thousand nothing is looked for: those of others are as right, only unused ones live longer.
local function held_find(held, owner, want)
    local live = call('ZRANGEBYSCORE', held, string.format('%d', now_us + 1), '+inf', 'LIMIT', '0', '1000')
    local mine, found, others = owner .. ':', {}, {}
    for _, member in ipairs(live) do
        if string.sub(member, 1, #mine) ~= mine then
            others[#others + 1] = member
        elseif #found < want then
            found[#found + 1] = member
        end
    end
    for i = 1, math.min(want - #found, #others) do
        found[#found + 1] = others[i]
    end
    return found
end

-- Drops what has ended, then adds one.
local function held_add(held, member, hold_us)
    call('ZREMRANGEBYSCORE', held, '-inf', string.format('%d', now_us))
    call('ZADD', held, string.format('%d', now_us + hold_us), member)
    local ttl_ms = math.ceil(hold_us / 1000) + 1
    if call('PTTL', held) < ttl_ms then
        call('PEXPIRE', held, string.format('%d', ttl_ms))
    end
end
