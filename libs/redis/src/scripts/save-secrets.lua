-- save-secrets: keeps a secret for as long as the conversation is not over.
-- keys      record, secrets
-- arguments epoch and nonce of the owner, or '' and '' for the caller who owns the conversation itself; fields and values
-- answer    'saved' | 'fenced' | 'final' | 'absent'
-- invariant nothing secret is written after the end, so nothing secret stays
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'absent'
end
if ARGV[1] ~= '' and not owns(KEYS[1], ARGV[1], ARGV[2]) then
  return 'fenced'
end
if is_final(state) then
  return 'final'
end
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
return 'saved'
