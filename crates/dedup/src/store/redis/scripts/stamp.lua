-- Makes a shard's head, or stamps the scope's incarnation on the one that is there.
-- KEYS: head. ARGV: incarnation, generation, bits, 'make' or 'look'.
local head = KEYS[1]
local f = call('HMGET', head, 'i', 'g', 'b', 'o', 't')
local now_s, now_ms = now()
if not f[1] then
  if ARGV[4] ~= 'make' then return {'missing', now_ms} end
  local till = string.format('%d', now_s + 400 * DAY)
  call('HSET', head, 'i', ARGV[1], 'g', ARGV[2], 'b', ARGV[3], 't', till, 'n', 0)
  call('EXPIREAT', head, till)
  return {'made', now_ms, ARGV[2], ARGV[3], '', till}
end
if f[1] ~= ARGV[1] and ARGV[4] == 'make' then call('HSET', head, 'i', ARGV[1]) end
if tonumber(f[5]) < now_s + 200 * DAY then
  f[5] = string.format('%d', now_s + 400 * DAY)
  call('HSET', head, 't', f[5])
  call('EXPIREAT', head, f[5])
end
return {f[1] == ARGV[1] and 'same' or 'other', now_ms, f[2], f[3], f[4] or '', f[5]}
