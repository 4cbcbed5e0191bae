-- desire: asks for stop or cancel.
-- keys      the conversation's eight
-- arguments verb, final state and end reason if nobody ever owned it, type of the ordering entry, reason or ''
-- answer    'accepted' | 'final' (ended at once) | 'already' (asked before, or cancel was) | 'over' (ended unasked) | 'absent'
-- invariant cancel beats stop; asking again is asking once; a conversation that nobody owned ends here and is never acquired
local record, verb = KEYS[1], ARGV[1]
local now = redis.call('HMGET', record, 'state', 'epoch', 'desired', 'asked:' .. verb)
local state, epoch, desired, asked = now[1], now[2], now[3], now[4]
if not state then
  return 'absent'
end
if is_final(state) then
  return asked and 'already' or 'over'
end
if asked then
  return 'already'
end
redis.call('HSET', record, 'asked:' .. verb, text(now_ms()))
if state == 'queued' and epoch == '0' then
  redis.call('HSET', record, 'desired', verb)
  finish(KEYS, ARGV[2], ARGV[3])
  return 'final'
end
if desired == 'cancel' then
  return 'already'
end
redis.call('HSET', record, 'desired', verb)
if ARGV[5] == '' then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', MAX_FRAMES, '*', 'type', ARGV[4])
else
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', MAX_FRAMES, '*', 'type', ARGV[4], 'reason', ARGV[5])
end
return 'accepted'
