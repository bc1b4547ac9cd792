-- Tells a shard what became of batches: 'c' committed, 'a' aborted.
-- KEYS: head. ARGV: incarnation, then state and batch, and so on.
local head = KEYS[1]
local f = call('HMGET', head, 'i', 'p')
if f[1] ~= ARGV[1] then return {'lost'} end
for k = 2, #ARGV, 2 do
  local ref = ARGV[k + 1]
  local holder = call('HGET', head, 'r' .. ref)
  if holder then
    if ARGV[k] == 'a' then
      local v = call('HGET', head, holder)
      call('HSET', head, holder, 'A' .. sub(v, 35, 38))
      call('HDEL', head, 'r' .. ref)
    else
      call('HDEL', head, holder, 'r' .. ref)
    end
  end
end
-- Now and then: holders whose records were all over a day ago.
local now_s = now()
if call('HLEN', head) > 64 and now_s > tonumber(f[2] or 0) then
  local all = call('HGETALL', head)
  for k = 1, #all, 2 do
    local holder, v = all[k], all[k + 1]
    if #holder == 5 and u32(v, #v - 3) + DAY < now_s then
      call('HDEL', head, holder)
      if #v == 38 then call('HDEL', head, 'r' .. sub(v, 1, 34)) end
    end
  end
  call('HSET', head, 'p', string.format('%d', now_s + 600))
end
return {'ok'}
