-- provider-release: gives a reservation back that became no row.
-- keys      slots, provider
-- arguments holder
-- answer    'released' | 'absent' (it is a row by now, or ran out)
-- invariant if its holder was the one to find out whether Tavus still refuses, somebody else may
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 'absent'
end
if redis.call('HDEL', KEYS[2], 'trying') == 1 then
  redis.call('HSET', KEYS[2], 'until', '0')
end
return 'released'
