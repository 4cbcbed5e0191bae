-- open-offers: conversations that are offered, the oldest offer first.
-- keys      offers
-- arguments most ids to answer
-- answer    list of ids
-- invariant an index only: whether an offer stands is said by the hand-over itself; what has run out leaves it
local now = text(now_ms())
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)
