-- tavus-callback: what Tavus tells of a conversation's call, once.
-- keys      record, events
-- arguments Tavus' conversation id, what tells this one from others, reason of the shutdown or '', message event as JSON or '', most callbacks
-- answer    'taken' | 'seen' | 'stale' (the shutdown of a call that is not the conversation's any more) | 'full' | 'absent'
-- invariant taking it and noting that it was taken are one step
local record, mark = KEYS[1], 'callback:' .. ARGV[2]
local now = redis.call('HMGET', record, 'state', 'tavusConversationId', 'epoch', mark)
if not now[1] then
  return 'absent'
end
if now[4] then
  return 'seen'
end
if ARGV[3] ~= '' and now[2] and now[2] ~= ARGV[1] then
  return 'stale'
end
if redis.call('HINCRBY', record, 'callbacks', 1) > tonumber(ARGV[5]) then
  return 'full'
end
redis.call('HSET', record, mark, text(now_ms()))
if ARGV[3] ~= '' then
  redis.call('HSET', record, 'tavusShutdown', ARGV[1] .. ' ' .. ARGV[3])
end
if ARGV[4] ~= '' then
  append_event(KEYS[2], 'message', now[3], ARGV[4])
  if is_final(now[1]) then
    redis.call('EXPIRE', KEYS[2], STREAM_TTL_S)
  end
end
return 'taken'
