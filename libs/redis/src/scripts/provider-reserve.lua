-- provider-reserve: takes a provider slot before the conversation that will use it has an owner.
-- keys      ledger, slots, provider
-- arguments holder, most slots, TTL of the reservation in ms, ms for which nobody else tries while this one does
-- answer    'ok' (also when it holds one already) | 'full' | why Tavus refuses
-- invariant rows and reservations together are never more than the limit; one tries while it is not known whether Tavus still refuses
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  local why = refusal(KEYS[3])
  if why then
    return why
  end
  if slots_taken(KEYS[1], KEYS[2]) >= tonumber(ARGV[2]) then
    return 'full'
  end
  try_alone(KEYS[3], ARGV[4])
end
redis.call('ZADD', KEYS[2], text(now_ms() + tonumber(ARGV[3])), ARGV[1])
redis.call('EXPIRE', KEYS[2], STREAM_TTL_S)
return 'ok'
