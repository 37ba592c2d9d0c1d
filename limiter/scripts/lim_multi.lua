-- LIM.MULTI n key1 .. keyn n x (GCRA l c p [COST q] | WINDOW l w [COST q] | SLIDE l w [COST q] | SEM max lease token):
-- all of them on one reading of the clock, and nothing is written unless every one admits.
--   KEYS       one for each limit, all different; after the key of a SEM its M and, with reservations, its P
--              (parts/sem_entry.lua)
--   ARGV[2..]  for each limit five, with the meaning and the bounds they have in the script of that algorithm:
--                gcra limit e unit cost | window limit window_us align cost | slide limit window_ms - cost
--                log limit window_us - cost | sem max lease_us token -|reserved
--   reply      [allowed, binding, retry_after_ms, [reply1 .. replyn]]
--              denied: binding is the index from 0 of the limit that denies the longest (one that never admits first),
--              retry_after its retry, -2 for never. Allowed: -1 and -1. The inner replies are those of the single
--              commands; when the whole is denied each says what it would have said alone, but charged, fence and
--              lease_left are 0.
--              If there are SEMs and all of them are held already by their tokens, this is a repeat of a call that was
--              admitted: their leases are extended, nothing is charged, and the others answer with reason 10.
--   errors     -WRONGTYPE, -ERR key does not hold a limiter state; nothing is written

-- part: tat
-- part: gcra
-- part: window
-- part: slide
-- part: log
-- part: sem_entry
-- part: sem
-- part: sem_admit

local evaluate = {}

-- Each returns retry, reason, a function that writes and one that makes the reply of (retry, reason, charged); or nil
-- and an error. A fifth result, true or false, is a semaphore's: held already.
function evaluate.gcra(key, limit, e, unit, cost)
    limit, e, unit, cost = limit + 0, e + 0, unit + 0, cost + 0
    local ahead, failure = gcra_load(key, unit)
    if not ahead then
        return nil, failure
    end
    local retry, reason = gcra_verdict(ahead, limit, e, unit, cost, 0)
    return retry, reason, function()
        ahead = ahead + cost * e
        gcra_store(key, ahead, unit)
        return cost
    end, function(...)
        return gcra_reply(retry, reason, ahead, limit, e, unit, ...)
    end
end

function evaluate.window(key, limit, window_us, align, cost)
    limit, cost = limit + 0, cost + 0
    local count, end_us = window_load(key)
    if not count then
        return nil, end_us
    end
    local retry, reason = window_verdict(count, end_us, limit, cost)
    return retry, reason, function()
        count = count + cost
        end_us = window_store(key, count, end_us, window_us + 0, align)
        return cost
    end, function(...)
        return window_reply(retry, reason, count, end_us, limit, ...)
    end
end

function evaluate.slide(key, limit, window, _, cost)
    limit, window, cost = limit + 0, window + 0, cost + 0
    local e, current, previous, start = slide_load(key, window)
    if not e then
        return nil, current
    end
    local retry, reason = slide_verdict(e, current, previous, limit, window, cost)
    return retry, reason, function()
        current = current + cost
        slide_store(key, start, current, previous, window)
        return cost
    end, function(...)
        return slide_reply(retry, reason, e, current, previous, limit, window, ...)
    end
end

function evaluate.log(key, limit, window_us, _, cost)
    limit, window_us, cost = limit + 0, window_us + 0, cost + 0
    local log, failure = log_load(key, window_us)
    if not log then
        return nil, failure
    end
    local retry, reason = log_verdict(key, log, limit, window_us, cost)
    return retry, reason, function()
        log_store(key, log, window_us, cost)
        return cost
    end, function(...)
        return log_reply(retry, reason, log, limit, window_us, ...)
    end
end

function evaluate.sem(key, max, lease_us, token, _, meta, reserved)
    max, lease_us = max + 0, lease_us + 0
    local from_us, provisional = string.format('%d', now_us + 1), 0
    local live = try('ZCOUNT', key, from_us, '+inf')
    if type(live) == 'table' then
        return nil, live
    end
    if reserved then
        provisional = call('ZCOUNT', reserved, from_us, '+inf')
    end
    local known = call('HMGET', meta, '\0f', '\0t', token)
    local until_us = (known[2] or 0) + 0
    local held_us = known[3] and (call('ZSCORE', key, token) or 0) + 0
    if held_us and held_us <= now_us then
        held_us = nil
    end
    local fence, slot, weight = sem_entry(known[3])
    local end_us = math.max(held_us or 0, now_us + lease_us)
    local retry, reason = -1, 0
    if not held_us then
        fence, slot = 0, -1
        local missing = live + provisional + 1 - max
        if missing > 0 then
            retry, reason = sem_retry(key, reserved, live, missing), 1
        end
    end
    return retry, reason, function()
        if held_us then
            sem_put(key, token, weight, end_us)
            sem_keep(key, meta, until_us, end_us, lease_us, live)
        else
            fence = sem_grant(key, meta, token, 1, lease_us, (known[1] or 0) + 0, until_us, live, -1)
            live = live + 1
        end
        return 1
    end, function(charged)
        local left_ms = charged > 0 and math.ceil((end_us - now_us) / 1000) or 0
        local granted, its_fence = reason == 0 and 1 or 0, charged > 0 and fence or 0
        return {granted, live + provisional, max, left_ms, its_fence, slot, held_us and 1 or 0, retry, -1, reason}
    end, held_us and true or false
end

local limits, next_key, binding, retry_after = {}, 1, -1, -1
local sems, held = 0, 0
for at = 2, #ARGV, 5 do
    local kind, key = ARGV[at], KEYS[next_key]
    local meta = kind == 'sem' and KEYS[next_key + 1]
    local reserved = meta and ARGV[at + 4] == 'reserved' and KEYS[next_key + 2]
    local retry, reason, write, reply, holds =
        evaluate[kind](key, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], meta, reserved)
    if not retry then
        return reason
    end
    limits[#limits + 1] = {write = write, reply = reply, sem = meta}
    next_key = next_key + 1 + (meta and 1 or 0) + (reserved and 1 or 0)
    sems, held = sems + (meta and 1 or 0), held + (holds and 1 or 0)
    if reason ~= 0 and retry_after ~= -2 and (retry == -2 or retry > retry_after) then
        binding, retry_after = #limits - 1, retry
    end
end

local repeated, replies = sems > 0 and held == sems, {}
for i, limit in ipairs(limits) do
    local charged = 0
    if (repeated and limit.sem) or (not repeated and binding == -1) then
        charged = limit.write()
    end
    replies[i] = limit.reply(charged)
    if repeated and not limit.sem then
        replies[i][1], replies[i][4], replies[i][8] = 1, -1, 10
    end
end
if repeated then
    return {1, -1, -1, replies}
end
return {binding == -1 and 1 or 0, binding, retry_after, replies}
