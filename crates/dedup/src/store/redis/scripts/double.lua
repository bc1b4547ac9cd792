-- Begins the doubling of a shard's places, or ends it once all were moved.
-- KEYS: head. ARGV: incarnation, 'begin' or 'end', bits before.
local head = KEYS[1]
local f = call('HMGET', head, 'i', 'b', 'o')
if f[1] ~= ARGV[1] then return {'lost'} end
if ARGV[2] == 'begin' and f[2] == ARGV[3] and not f[3] then
  f[2], f[3] = string.format('%d', tonumber(f[2]) + 1), f[2]
  call('HSET', head, 'b', f[2], 'o', f[3])
elseif ARGV[2] == 'end' and f[3] == ARGV[3] then
  call('HDEL', head, 'o')
  f[3] = false
end
return {'bits', f[2], f[3] or ''}
