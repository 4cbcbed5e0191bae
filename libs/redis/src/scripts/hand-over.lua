-- hand-over: the owner makes another worker the owner, with the position it stopped at.
-- keys      record, lease
-- arguments epoch, nonce, heir's worker id, heir's nonce, TTL in ms, position or ''
-- answer    the heir's epoch | 'fenced' | 'final'
-- invariant there is no moment without an owner and none with two
if not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
local lease = redis.call('GET', KEYS[2])
if lease and lease ~= ARGV[2] .. ':' .. ARGV[1] then
  return 'fenced'
end
if is_final(redis.call('HGET', KEYS[1], 'state')) then
  return 'final'
end
local epoch = text(redis.call('HINCRBY', KEYS[1], 'epoch', 1))
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'ownerNonce', ARGV[4])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'position', ARGV[6])
end
redis.call('SET', KEYS[2], ARGV[4] .. ':' .. epoch, 'PX', ARGV[5])
return epoch
