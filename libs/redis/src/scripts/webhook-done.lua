-- webhook-done: nothing of a conversation is left to look at.
-- keys      webhooks
-- arguments conversation id, claim
-- answer    'done' | 'news' (something was written meanwhile: it stays)
-- invariant what was noted after the claim is looked at
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) ~= tonumber(ARGV[2]) then
  return 'news'
end
redis.call('ZREM', KEYS[1], ARGV[1])
return 'done'
