-- release: the owner gives up its lease, its right to take it again included.
-- keys      record, lease
-- arguments epoch, nonce
-- answer    'released' | 'fenced'
-- invariant another owner's lease is never touched; a final record keeps the name of its last owner
if redis.call('GET', KEYS[2]) == ARGV[2] .. ':' .. ARGV[1] then
  redis.call('DEL', KEYS[2])
end
if redis.call('EXISTS', KEYS[1]) == 0 or not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
if not is_final(redis.call('HGET', KEYS[1], 'state')) then
  redis.call('HDEL', KEYS[1], 'owner', 'ownerNonce')
end
return 'released'
