-- append-event: one entry of the events stream.
-- keys      record, events
-- arguments epoch and nonce ('0' and '' when nobody owns it), type, JSON
-- answer    the entry's id | '' (fenced, or no such conversation)
-- invariant a stale owner says nothing
if ARGV[1] == '0' and ARGV[2] == '' then
  if redis.call('EXISTS', KEYS[1]) == 0 then
    return ''
  end
elseif not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return ''
end
return append_event(KEYS[2], ARGV[3], ARGV[1], ARGV[4])
