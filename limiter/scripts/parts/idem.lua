-- IDEM: the reply of a call that charged something is kept under the companion key KEYS[2], made of the client's key
-- and id. A repeated call gets it again, with reason 10, and is not charged. A denied call is not kept: its repeat is a
-- new attempt. Not a function, because a call without IDEM shall not pay for one.
local IDEM_REPLY = '%d %d %d %d %d %d %d'
if KEYS[2] then
    local kept = call('GET', KEYS[2])
    if kept then
        local reply = {}
        for number in string.gmatch(kept, '%S+') do
            reply[#reply + 1] = number + 0
        end
        reply[8] = 10
        return reply
    end
end
