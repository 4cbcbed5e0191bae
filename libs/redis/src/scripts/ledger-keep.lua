-- ledger-keep: the owner says again which rows are its own.
-- keys      ledger
-- arguments name and row as JSON, for each row
-- answer    number of rows that were gone and are there again
-- invariant what is written already stays as it is; over the limit too, because these conversations run
local written = 0
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    local row = cjson.decode(ARGV[i + 1])
    row.intendedAt = now_ms()
    redis.call('HSET', KEYS[1], ARGV[i], cjson.encode(row))
    written = written + 1
  end
end
return text(written)
