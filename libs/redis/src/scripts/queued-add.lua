-- queued-add: a conversation waits for a worker.
-- keys      queued
-- arguments conversation id
-- answer    'ok'
-- invariant a place once taken is kept: asking again is asking once
redis.call('ZADD', KEYS[1], 'NX', text(now_ms()), ARGV[1])
redis.call('EXPIRE', KEYS[1], RECORD_TTL_S)
return 'ok'
