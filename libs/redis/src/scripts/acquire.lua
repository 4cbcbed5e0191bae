-- acquire: a worker becomes the owner.
-- keys      record, lease
-- arguments worker id, nonce, TTL in ms
-- answer    '<new epoch>:<now, ms>' | 'absent' | 'final' | 'held'
-- invariant one owner: record not final and no lease; the epoch only grows
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'absent'
end
if is_final(state) then
  return 'final'
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 'held'
end
local epoch = text(redis.call('HINCRBY', KEYS[1], 'epoch', 1))
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'ownerNonce', ARGV[2])
redis.call('SET', KEYS[2], ARGV[2] .. ':' .. epoch, 'PX', ARGV[3])
return epoch .. ':' .. text(now_ms())
