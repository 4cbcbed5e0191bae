-- webhook-note: a conversation's events are to be looked at for webhooks, soonest after a delay.
-- keys      webhooks
-- arguments conversation id, delay in ms
-- answer    'noted'
-- invariant a look that is due sooner is never put off; what nobody looked at while its events lived is forgotten
local now = now_ms()
redis.call('ZADD', KEYS[1], 'LT', text(now + tonumber(ARGV[2])), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - 2 * STREAM_TTL_S * 1000))
redis.call('EXPIRE', KEYS[1], RECORD_TTL_S)
return 'noted'
