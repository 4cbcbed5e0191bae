-- touch-leases: notes in the sweeper's index until when leases run.
-- keys      leases
-- arguments TTL in ms, conversation ids
-- answer    'touched'
-- invariant an index only: who owns what is said by lease and record
local deadline = now_ms() + tonumber(ARGV[1])
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], text(deadline), ARGV[i])
end
redis.call('EXPIRE', KEYS[1], RECORD_TTL_S)
return 'touched'
