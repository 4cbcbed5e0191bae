-- due-leases: ids whose lease should have run out, the longest first.
-- keys      leases
-- arguments most ids to answer
-- answer    list of ids
-- invariant reads only
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now_ms()), 'LIMIT', 0, ARGV[1])
