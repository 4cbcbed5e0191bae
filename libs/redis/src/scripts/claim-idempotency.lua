-- claim-idempotency: the first request with a key stands for it.
-- keys      the key's string
-- arguments hash of the request, conversation id, TTL in ms
-- answer    'new' | '<hash> <conversation id>' of the first
-- invariant of two requests at the same moment one is first
local first = redis.call('GET', KEYS[1])
if first then
  return first
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return 'new'
