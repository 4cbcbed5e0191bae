-- webhook-advance: the webhooks of a conversation's events up to one are in their queue.
-- keys      record
-- arguments id of the event
-- answer    'advanced' | 'absent'
-- invariant a record that has expired does not come back
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'absent'
end
redis.call('HSET', KEYS[1], 'webhooksUpTo', ARGV[1])
return 'advanced'
