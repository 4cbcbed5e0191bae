-- ledger-intend: takes a provider slot for a Tavus conversation that is about to be created.
-- keys      ledger, slots, provider
-- arguments name, row as JSON, most slots ('' = no limit), holder of a reservation, ms for which nobody else tries while this one does
-- answer    'ok' (also when the row was there already) | 'full' (also while Tavus refuses)
-- invariant rows and reservations together are never more than the limit by way of this script; a reservation becomes its row
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  return 'ok'
end
if redis.call('ZREM', KEYS[2], ARGV[4]) == 0 then
  if refusal(KEYS[3]) then
    return 'full'
  end
  if ARGV[3] ~= '' and slots_taken(KEYS[1], KEYS[2]) >= tonumber(ARGV[3]) then
    return 'full'
  end
  try_alone(KEYS[3], ARGV[5])
end
local row = cjson.decode(ARGV[2])
row.intendedAt = now_ms()
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(row))
return 'ok'
