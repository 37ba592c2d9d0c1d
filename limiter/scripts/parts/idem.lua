-- The reply of a call that charged something, kept under a companion key by the caller's id, so that a repeated call gets
-- it again (with reason 10) and is not charged twice. A denied call is not kept: its repeat is a new attempt.

local function idem_recall(key)
    local kept = call('GET', key)
    if not kept then
        return nil
    end
    local reply = {}
    for number in string.gmatch(kept, '%S+') do
        reply[#reply + 1] = number + 0
    end
    reply[8] = 10
    return reply
end

local function idem_keep(key, ttl_ms, reply)
    call('SET', key, string.format(string.rep('%d ', 8), unpack(reply)), 'PX', ttl_ms)
end
