-- hand-over-claim: a worker with a free slot becomes the heir of an offer.
-- keys      record, hand-over
-- arguments worker id, the heir's nonce, ms it has to get ready
-- answer    '<owner's epoch>:<token>' | 'gone'
-- invariant one heir for each offer, never the owner itself; an offer of a stale owner is nobody's
local offer = redis.call('HMGET', KEYS[2], 'token', 'epoch', 'owner')
if hand_over_phase(KEYS[1], KEYS[2], offer[1]) ~= 'offered' or offer[3] == ARGV[1] then
  return 'gone'
end
redis.call('HSET', KEYS[2], 'heir', ARGV[1], 'heirNonce', ARGV[2])
hand_over_step(KEYS[2], 'claimed', ARGV[3])
return offer[2] .. ':' .. offer[1]
