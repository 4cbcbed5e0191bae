-- ledger-intend: takes a provider slot for a Tavus conversation that is about to be created.
-- keys      ledger
-- arguments name, row as JSON, most rows ('' = no limit)
-- answer    'ok' (also when the row was there already) | 'full'
-- invariant never more rows than the limit by way of this script
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  return 'ok'
end
if ARGV[3] ~= '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return 'full'
end
local row = cjson.decode(ARGV[2])
row.intendedAt = now_ms()
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(row))
return 'ok'
