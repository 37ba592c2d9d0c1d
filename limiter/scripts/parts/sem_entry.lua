-- A semaphore. Its kinds of keys, all in one slot:
--   K  the client's key: a sorted set, token -> end of its lease in Unix microseconds; it lives while now < end. A
--      holder of weight w has w members: its token and the parts \0 2 \0 token ... \0 w \0 token, so that counting
--      members counts weight, and whoever removes the token by hand (ZREM) frees it.
--   M  companion hash: token -> "fence", or "fence slot weight" when it has a slot or a weight; \0f -> the last fence;
--      \0t -> until when K and M have their TTL.
--   P  companion sorted set of reservations, member -> end in Unix microseconds; they count as live.

-- Fence, slot and weight of an entry of M; 0, -1 and 1 without one.
local function sem_entry(entry)
    if not entry then
        return 0, -1, 1
    end
    local fence, slot, weight = string.match(entry, '^(%d+) (%-?%d+) (%d+)$')
    if fence then
        return fence + 0, slot + 0, weight + 0
    end
    return entry + 0, -1, 1
end

local function sem_part(i, token)
    return '\0' .. i .. '\0' .. token
end
