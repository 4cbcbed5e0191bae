-- recover: the owner begins the conversation anew, in a session of its own with the next epoch.
-- keys      record, lease
-- arguments epoch, nonce, worker id, new nonce, TTL in ms, '1' if the old session broke down (counts as a lost owner), else '0'
-- answer    '<new epoch>:<now, ms>:<owners in a row that it brought down>' | 'fenced' | 'final'
-- invariant there is no moment without an owner; the old session is fenced from here on
if redis.call('EXISTS', KEYS[1]) == 0 or not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
local lease = redis.call('GET', KEYS[2])
if lease and lease ~= ARGV[2] .. ':' .. ARGV[1] then
  return 'fenced'
end
if is_final(redis.call('HGET', KEYS[1], 'state')) then
  return 'final'
end
local crashes = redis.call('HGET', KEYS[1], 'crashes') or '0'
if ARGV[6] == '1' then
  crashes = count_crash(KEYS[1])
end
return own_anew(KEYS[1], KEYS[2], ARGV[3], ARGV[4], ARGV[5]) .. ':' .. crashes
