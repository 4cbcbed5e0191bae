-- rebuild: Redis has lost a conversation's record, and its owner writes it again from its copy.
-- keys      the conversation's eight
-- arguments epoch, nonce, TTL of the lease in ms, number of record arguments, record fields and values, secret fields and values
-- answer    'rebuilt' (also when it was rebuilt already: a retry after a lost answer) | 'exists' (somebody has written it since: whoever asks owns nothing)
-- invariant of several owners that remember it the one with the highest epoch stays: only what an earlier owner rebuilt is replaced
if redis.call('EXISTS', KEYS[1]) == 1 and not rebuilt_before(KEYS[1], ARGV[1]) then
  return owns(KEYS[1], ARGV[1], ARGV[2]) and 'rebuilt' or 'exists'
end
redis.call('DEL', KEYS[1], KEYS[2])
local last = 4 + tonumber(ARGV[4])
for i = 5, last, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
for i = last + 1, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'ownerNonce', ARGV[2], 'seenAt', text(now_ms()), 'rebuilt', '1')
redis.call('SET', KEYS[3], ARGV[2] .. ':' .. ARGV[1], 'PX', ARGV[3])
append_event(KEYS[5], 'state', ARGV[1], '{"state":"' .. redis.call('HGET', KEYS[1], 'state') .. '"}')
return 'rebuilt'
