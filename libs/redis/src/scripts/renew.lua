-- renew: the owner keeps its lease, or takes it again after an outage let it run out.
-- keys      record, lease
-- arguments epoch, nonce, TTL in ms
-- answer    'held:' + desired ('', 'stop', 'cancel') + ':' + Tavus' reason if its call is over | 'lost' (another owner, or given away) | 'absent' (no record, or one that an owner before this one wrote again: data was lost)
-- invariant an expired lease comes back only to the owner that the record still names, so never to two
local now = redis.call('HMGET', KEYS[1], 'epoch', 'ownerNonce', 'desired', 'state', 'tavusShutdown', 'tavusConversationId')
if not now[4] or rebuilt_before(KEYS[1], ARGV[1]) then
  return 'absent'
end
local mine = ARGV[2] .. ':' .. ARGV[1]
local lease = redis.call('GET', KEYS[2])
if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] or (lease and lease ~= mine) then
  return 'lost'
end
if lease or not is_final(now[4]) then
  redis.call('SET', KEYS[2], mine, 'PX', ARGV[3])
  redis.call('HSET', KEYS[1], 'seenAt', text(now_ms()))
end
-- Of the call that is the conversation's now: the word on an earlier one may come late.
local call, reason = string.match(now[5] or '', '^(%S+) (.*)$')
return 'held:' .. (now[3] or '') .. ':' .. (call == now[6] and reason or '')
