-- hand-over-step: owner or heir takes the next step of a hand-over.
-- keys      record, hand-over
-- arguments token, the heir's nonce ('' = the owner), step, comma-enclosed steps it may follow, ms it stands
-- answer    'taken' (also when it was taken already: a retry after a lost answer) | 'refused'
-- invariant only forward, only while the step before it stands, only by whoever the hand-over names
local phase = hand_over_phase(KEYS[1], KEYS[2], ARGV[1])
if ARGV[2] ~= '' and redis.call('HGET', KEYS[2], 'heirNonce') ~= ARGV[2] then
  return 'refused'
end
if phase == ARGV[3] then
  return 'taken'
end
if not string.find(ARGV[4], ',' .. phase .. ',', 1, true) then
  return 'refused'
end
hand_over_step(KEYS[2], ARGV[3], ARGV[5])
return 'taken'
