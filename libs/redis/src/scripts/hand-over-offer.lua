-- hand-over-offer: the owner of a live conversation would give it to another worker.
-- keys      record, hand-over
-- arguments epoch, nonce, token, ms the offer stands
-- answer    until when it stands, ms | 'fenced' | 'busy' (not live, or asked to end: its owner finishes it)
-- invariant only the owner of record offers, and only what goes on; an earlier offer of this epoch is void from here on
if not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
local now = redis.call('HMGET', KEYS[1], 'state', 'desired', 'owner')
if now[1] ~= 'live' or now[2] then
  return 'busy'
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'token', ARGV[3], 'epoch', ARGV[1], 'owner', now[3])
return hand_over_step(KEYS[2], 'offered', ARGV[4])
