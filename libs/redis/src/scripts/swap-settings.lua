-- swap-settings: replaces the record's settings if they are still what the caller merged into, and tells the owner.
-- keys      record, frames
-- arguments settings text expected ('' = none), new text, the delta as JSON
-- answer    'changed' | 'conflict' | 'final' | 'absent'
-- invariant the record and the entry change together; merging is done outside, because cjson rounds long numbers
local now = redis.call('HMGET', KEYS[1], 'state', 'settings')
if not now[1] then
  return 'absent'
end
if is_final(now[1]) then
  return 'final'
end
if (now[2] or '') ~= ARGV[1] then
  return 'conflict'
end
redis.call('HSET', KEYS[1], 'settings', ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', MAX_FRAMES, '*', 'type', 'settings-update', 'json', ARGV[3])
return 'changed'
