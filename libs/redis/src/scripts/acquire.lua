-- acquire: a worker becomes the owner.
-- keys      record, lease
-- arguments worker id, nonce, TTL in ms
-- answer    '<new epoch>:<now, ms>:<owners in a row that it brought down>:<when the last owner was seen last, ms; 0: it gave it back>'
--           | 'absent' | 'final' | 'held'
-- invariant one owner: record not final and no lease; the epoch only grows; every lost owner is counted, once
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'absent'
end
if is_final(state) then
  return 'final'
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 'held'
end
local crashes, seen = count_crash(KEYS[1])
return own_anew(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]) .. ':' .. crashes .. ':' .. seen
