-- heartbeat: a worker says that it lives and learns whether it shall drain.
-- keys      workers
-- arguments worker id, its view as JSON
-- answer    'drain' | ''
-- invariant the time of a heartbeat is Redis', so that workers' clocks do not matter
redis.call('HSET', KEYS[1], ARGV[1], text(now_ms()) .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], 7200)
return redis.call('HEXISTS', KEYS[1], 'drain:' .. ARGV[1]) == 1 and 'drain' or ''
