-- request-drain: asks a worker to drain; it reads this with its next heartbeat.
-- keys      workers
-- arguments worker id
-- answer    'requested' | 'absent'
-- invariant none is asked that never said it lives
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 'absent'
end
redis.call('HSET', KEYS[1], 'drain:' .. ARGV[1], text(now_ms()))
return 'requested'
