-- create: makes a conversation's record, secrets and first event.
-- keys      the conversation's eight
-- arguments number of record arguments, record fields and values, secret fields and values
-- answer    'created' | 'exists'
-- invariant an id is used once: nothing is written if the record was ever there
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'exists'
end
local count = tonumber(ARGV[1])
for i = 2, count, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'state', 'queued', 'epoch', '0', 'createdAt', text(now_ms()))
for i = count + 2, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
append_event(KEYS[5], 'state', '0', '{"state":"queued"}')
return 'created'
