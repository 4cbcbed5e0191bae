-- since: for how long this run of Redis has been known to the fleet, and the time by its clock.
-- keys      since
-- arguments (none)
-- answer    list: ms since the first look at this run, now in ms
-- invariant a Redis that lost its data, was restarted or is another node after a failover counts from the next look on
local info = redis.pcall('INFO', 'server')
-- Where INFO is forbidden, only lost data is noticed (the key is gone with it), not a restart.
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local known = redis.call('GET', KEYS[1])
local since = known and string.match(known, '^' .. run .. ' (%d+)$')
local now = now_ms()
if not since then
  since = text(now)
  redis.call('SET', KEYS[1], run .. ' ' .. since)
end
redis.call('EXPIRE', KEYS[1], RECORD_TTL_S)
return { text(now - tonumber(since)), text(now) }
