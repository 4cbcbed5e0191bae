-- move: the owner moves its conversation to another state.
-- keys      the conversation's eight
-- arguments epoch, nonce, state to move to, comma-enclosed states it may be reached from, end reason or '', time field or '',
--           then fields (see apply_fields)
-- answer    'moved' (also when it was there already: a retry after a lost answer) | 'refused' | 'fenced'
-- invariant only the owner of record moves, only forward; state, event, secrets' deletion and TTLs are one step
local record, to, reason, time_field = KEYS[1], ARGV[3], ARGV[5], ARGV[6]
if not owns(record, ARGV[1], ARGV[2]) then
  return 'fenced'
end
local now = redis.call('HMGET', record, 'state', 'endReason')
if now[1] == to and (reason == '' or now[2] == reason) then
  apply_fields(record, 7)
  return 'moved'
end
if not string.find(ARGV[4], ',' .. now[1] .. ',', 1, true) then
  return 'refused'
end
apply_fields(record, 7)
if time_field ~= '' then
  redis.call('HSETNX', record, time_field, text(now_ms()))
end
if is_final(to) then
  finish(KEYS, to, reason)
else
  redis.call('HSET', record, 'state', to)
  append_event(KEYS[5], 'state', ARGV[1], '{"state":"' .. to .. '"}')
end
return 'moved'
