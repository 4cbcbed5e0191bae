-- ledger-adopt: notes the id that Tavus gave to an intended conversation.
-- keys      ledger
-- arguments name, Tavus' conversation id, row as JSON to write if the row is gone
-- answer    'ok'
-- invariant a conversation known to be running always has a row, also after data was lost and over the limit
local row = cjson.decode(redis.call('HGET', KEYS[1], ARGV[1]) or ARGV[3])
row.intendedAt = row.intendedAt or now_ms()
row.tavusConversationId = ARGV[2]
row.adoptedAt = row.adoptedAt or now_ms()
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(row))
return 'ok'
