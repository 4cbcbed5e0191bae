-- webhook-due: takes conversations whose events are to be looked at.
-- keys      webhooks
-- arguments most of them, ms after which one is due again if nobody says it is done
-- answer    list: id, claim, id, claim …
-- invariant two relays never take one at the same time; one that dies costs a delay and loses nothing
local now = now_ms()
local claim = text(now + tonumber(ARGV[2]))
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now), 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', KEYS[1], claim, id)
  taken[#taken + 1] = id
  taken[#taken + 1] = claim
end
return taken
