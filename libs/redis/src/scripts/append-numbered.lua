-- append-numbered: one frame of a producer that counts its messages.
-- keys      frames, producers
-- arguments producer, number, fields of the entry…
-- answer    the entry's id | '' (that number is in the stream already)
-- invariant a message that is sent again after a cut is in the stream once
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if tonumber(ARGV[2]) <= last then
  return ''
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', MAX_FRAMES, '*', unpack(ARGV, 3))
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], STREAM_TTL_S)
return id
