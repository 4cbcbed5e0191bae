-- append-media: entries of one output stream, and what is too old in it taken out.
-- keys      record, stream
-- arguments epoch, nonce, ms that are kept, oldest id that is kept ('' = any), number of fields of an entry, fields of all entries…
-- answer    the entries' ids | an empty list (fenced)
-- invariant a stale owner adds nothing; a stream that nobody writes any more goes
if not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return {}
end
local ids = {}
local count = tonumber(ARGV[5])
for first = 6, #ARGV, count do
  ids[#ids + 1] = redis.call('XADD', KEYS[2], '*', unpack(ARGV, first, first + count - 1))
end
-- Whole nodes of the stream only: a large entry has one of its own, of small ones a few stay that could go.
redis.call('XTRIM', KEYS[2], 'MINID', '~', text(now_ms() - tonumber(ARGV[3])))
if ARGV[4] ~= '' then
  redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[4])
end
redis.call('EXPIRE', KEYS[2], STREAM_TTL_S)
return ids
