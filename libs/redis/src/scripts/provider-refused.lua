-- provider-refused: Tavus refused a create for a reason that holds for the whole fleet.
-- keys      provider
-- arguments why, ms to wait ('' = twice as long each time, from 2 s to 30 s)
-- answer    ms for which nobody asks again
-- invariant many refusals of one moment count as one
local now = now_ms()
local known = redis.call('HMGET', KEYS[1], 'until', 'why', 'trying')
local left = tonumber(known[1] or '0') - now
if left > 0 and known[2] == ARGV[1] and not known[3] then
  return text(left)
end
local wait = tonumber(ARGV[2])
if not wait then
  local times = math.min(redis.call('HINCRBY', KEYS[1], 'times', 1), 10)
  wait = math.min(30000, 1000 * 2 ^ times)
end
redis.call('HSET', KEYS[1], 'why', ARGV[1], 'until', text(now + wait))
redis.call('HDEL', KEYS[1], 'trying')
redis.call('EXPIRE', KEYS[1], STREAM_TTL_S)
return text(wait)
