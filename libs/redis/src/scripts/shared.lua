-- Prepended to every script (see scripts.ts); holds only local functions. Redis' clock is the only clock.

-- Limits: our choice. A record outlives its conversation by 7 days (an id is used once), streams by 1 hour.
local RECORD_TTL_S, STREAM_TTL_S = 604800, 3600
local MAX_EVENTS, MAX_FRAMES = 2000, 12000
-- An owner that kept it for so long was not brought down by it: the count of lost owners starts afresh.
local CALM_MS = 60000

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Lua prints large numbers as 1.7e+12.
local function text(number)
  return string.format('%.0f', number)
end

local function is_final(state)
  return state == 'ended' or state == 'canceled' or state == 'failed'
end

-- Both halves: the epoch orders owners, the nonce tells two apart when lost data made an epoch count twice. No record at all is no word on
-- who owns it: Redis has lost it, and its owner is about to write it again (rebuild). Then the script ends with an error that
-- callers take for an outage.
local function owns(record, epoch, nonce)
  local owner = redis.call('HMGET', record, 'epoch', 'ownerNonce')
  if not owner[1] then
    error({ err = 'NORECORD Redis has lost the record' })
  end
  return owner[1] == epoch and owner[2] == nonce
end

-- Whether an owner of before that epoch has written the record again after Redis lost it: one that had not heard of its successor.
local function rebuilt_before(record, epoch)
  local now = redis.call('HMGET', record, 'rebuilt', 'epoch')
  return now[1] and tonumber(now[2]) < tonumber(epoch)
end

-- Makes that worker the owner: the next epoch, its nonce, a lease. Answers '<epoch>:<now>'.
local function own_anew(record, lease, worker, nonce, ttl)
  local epoch, now = text(redis.call('HINCRBY', record, 'epoch', 1)), text(now_ms())
  redis.call('HSET', record, 'owner', worker, 'ownerNonce', nonce, 'ownedAt', now, 'seenAt', now)
  redis.call('SET', lease, nonce .. ':' .. epoch, 'PX', ttl)
  return epoch .. ':' .. now
end

-- An owner that gives a conversation back takes its nonce out of the record; one that is still found there was lost. Answers how
-- many were lost in a row, and when the last one was seen ('0': it was not lost).
local function count_crash(record)
  local was = redis.call('HMGET', record, 'ownerNonce', 'ownedAt', 'seenAt', 'crashes')
  local crashes = tonumber(was[4] or '0')
  if not was[1] then
    return text(crashes), '0'
  end
  local owned, seen = tonumber(was[2] or '0'), tonumber(was[3] or '0')
  crashes = seen - owned >= CALM_MS and 1 or crashes + 1
  redis.call('HSET', record, 'crashes', text(crashes))
  return text(crashes), text(seen)
end

local function append_event(events, kind, epoch, json)
  return redis.call('XADD', events, 'MAXLEN', '~', MAX_EVENTS, '*', 'type', kind, 'at', text(now_ms()), 'epoch', epoch, 'json', json)
end

-- Applies ARGV from `first` on: number of fields to delete, their names, then pairs to set.
local function apply_fields(record, first)
  local deletes = tonumber(ARGV[first])
  for i = first + 1, first + deletes do
    redis.call('HDEL', record, ARGV[i])
  end
  for i = first + deletes + 1, #ARGV, 2 do
    redis.call('HSET', record, ARGV[i], ARGV[i + 1])
  end
end

-- The last move. keys in the order of conversationKeyList in scripts.ts: record, secrets, lease, then five streams.
local function finish(keys, state, reason)
  local record, events = keys[1], keys[5]
  redis.call('HSET', record, 'state', state, 'endReason', reason, 'endedAt', text(now_ms()))
  redis.call('DEL', keys[2])
  local epoch = redis.call('HGET', record, 'epoch')
  append_event(events, 'state', epoch, '{"state":"' .. state .. '","endReason":"' .. reason .. '"}')
  append_event(events, 'ended', epoch, '{"endReason":"' .. reason .. '"}')
  redis.call('EXPIRE', record, RECORD_TTL_S)
  for i = 4, #keys do
    redis.call('EXPIRE', keys[i], STREAM_TTL_S)
  end
end

local function is_given(phase)
  return phase == 'given' or phase == 'silent' or phase == 'shown'
end

-- The step at which a hand-over stands: 'void' when there is none of that token, when its deadline has passed, when the one who offered
-- it is not the owner any more, or when the conversation was asked to end: its owner finishes it. What was given stays given.
local function hand_over_phase(record, hand_over, token)
  local at = redis.call('HMGET', hand_over, 'token', 'phase', 'until', 'epoch')
  if not at[2] or at[1] ~= token then
    return 'void'
  end
  if is_given(at[2]) then
    return at[2]
  end
  local now = redis.call('HMGET', record, 'epoch', 'state', 'desired')
  if tonumber(at[3]) <= now_ms() or now[1] ~= at[4] or now[2] ~= 'live' or now[3] then
    return 'void'
  end
  return at[2]
end

-- Takes a step that stands for so many ms. It is forgotten a minute after its deadline: whoever asks later finds it void.
local function hand_over_step(hand_over, phase, ms)
  local deadline = text(now_ms() + tonumber(ms))
  redis.call('HSET', hand_over, 'phase', phase, 'until', deadline)
  redis.call('PEXPIRE', hand_over, tonumber(ms) + 60000)
  return deadline
end

-- Provider slots taken: rows of the ledger, and reservations that have not run out.
local function slots_taken(ledger, slots)
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now_ms()))
  return redis.call('HLEN', ledger) + redis.call('ZCARD', slots)
end

-- Why Tavus is not to be asked for a conversation now; nil when it may be.
local function refusal(provider)
  local known = redis.call('HMGET', provider, 'until', 'why')
  if known[1] and now_ms() < tonumber(known[1]) then
    return known[2]
  end
  return nil
end

-- Nobody knows yet whether Tavus still refuses: one finds out, the others wait for it.
local function try_alone(provider, ms)
  if redis.call('EXISTS', provider) == 1 then
    redis.call('HSET', provider, 'trying', '1', 'until', text(now_ms() + tonumber(ms)))
  end
end

