-- hand-over: the owner makes its heir the owner, with the position it stopped at.
-- keys      record, lease, hand-over
-- arguments epoch, nonce, token, TTL of the lease in ms, ms the heir has to show itself, position or '', then fields (see apply_fields)
-- answer    'given' (also when it was given already: a retry after a lost answer) | 'refused' (no heir is ready, or it was asked to end) | 'fenced'
-- invariant there is no moment without an owner and none with two; position and ownership change in one step
local given = redis.call('HMGET', KEYS[3], 'token', 'phase', 'epoch')
if given[1] == ARGV[3] and given[3] == ARGV[1] and is_given(given[2]) then
  return 'given'
end
if not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
local lease = redis.call('GET', KEYS[2])
if lease and lease ~= ARGV[2] .. ':' .. ARGV[1] then
  return 'fenced'
end
if hand_over_phase(KEYS[1], KEYS[3], ARGV[3]) ~= 'ready' then
  return 'refused'
end
local heir = redis.call('HMGET', KEYS[3], 'heir', 'heirNonce')
apply_fields(KEYS[1], 7)
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'positionAt', text(now_ms()))
end
own_anew(KEYS[1], KEYS[2], heir[1], heir[2], ARGV[4])
hand_over_step(KEYS[3], 'given', ARGV[5])
return 'given'
