-- list-workers: the workers seen lately; forgets those not seen for long.
-- keys      workers
-- arguments ms within which a worker counts as alive, ms after which it is forgotten
-- answer    list of views as JSON
-- invariant a drain request goes with its worker
local now, alive = now_ms(), {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local seen, view = string.match(all[i + 1], '^(%d+) (.*)$')
  local age = seen and now - tonumber(seen)
  if age and age <= tonumber(ARGV[1]) then
    alive[#alive + 1] = view
  elseif (age and age > tonumber(ARGV[2])) or (not age and string.sub(all[i], 1, 6) ~= 'drain:') then
    redis.call('HDEL', KEYS[1], all[i], 'drain:' .. all[i])
  end
end
return alive
