-- fail-unowned: ends a queued conversation that nobody holds.
-- keys      the conversation's eight
-- arguments final state, end reason
-- answer    'ended' | 'refused' (not queued any more, or held) | 'absent'
-- invariant a conversation with an owner is ended by its owner only
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'absent'
end
if state ~= 'queued' or redis.call('EXISTS', KEYS[3]) == 1 then
  return 'refused'
end
-- An owner that lost its lease before its first move could take it again: it must not find its nonce.
redis.call('HDEL', KEYS[1], 'ownerNonce')
finish(KEYS, ARGV[1], ARGV[2])
return 'ended'
