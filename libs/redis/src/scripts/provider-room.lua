-- provider-room: whether a Tavus conversation could be made now.
-- keys      ledger, slots, provider
-- arguments most slots
-- answer    'free' | 'full' | why Tavus refuses ('capacity', 'auth', 'credits')
-- invariant takes nothing: whoever goes on must reserve
local why = refusal(KEYS[3])
if why then
  return why
end
return slots_taken(KEYS[1], KEYS[2]) < tonumber(ARGV[1]) and 'free' or 'full'
