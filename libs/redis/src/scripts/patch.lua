-- patch: the owner saves what it knows; with a position it also trims what was played and renews the streams' TTL.
-- keys      the conversation's eight
-- arguments epoch, nonce, position or '', then fields (see apply_fields)
-- answer    'patched' | 'fenced'
-- invariant nothing is written for a stale owner; entries after the position are never trimmed
if not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
apply_fields(KEYS[1], 4)
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'positionAt', text(now_ms()))
  redis.call('XTRIM', KEYS[4], 'MINID', '~', ARGV[3])
  for i = 4, #KEYS do
    redis.call('EXPIRE', KEYS[i], STREAM_TTL_S)
  end
end
return 'patched'
