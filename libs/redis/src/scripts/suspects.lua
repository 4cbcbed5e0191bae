-- suspects: what the reaper would end if it is still so the next time.
-- keys      suspects
-- arguments time of this look in ms, ids
-- answer    list: when each id was seen first, in the order asked
-- invariant an id that is not named has been explained and starts anew if it comes back
local named = {}
for i = 2, #ARGV do
  named[ARGV[i]] = true
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if not named[id] then
    redis.call('ZREM', KEYS[1], id)
  end
end
local first = {}
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[i])
  first[#first + 1] = redis.call('ZSCORE', KEYS[1], ARGV[i])
end
redis.call('EXPIRE', KEYS[1], STREAM_TTL_S)
return first
