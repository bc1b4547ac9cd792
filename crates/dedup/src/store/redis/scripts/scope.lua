-- Makes a scope's record, or reads it. KEYS: the record.
-- ARGV: version, fields, across_types, secret, a new incarnation, how long it is kept (ms), the
-- incarnation that is known to be broken ('' if none).
if redis.replicate_commands then redis.replicate_commands() end
local rec = KEYS[1]
local f = redis.call('HMGET', rec, 'v', 'fields', 'across', 'secret', 'i', 'ready')
if not f[1] then
  redis.call('HSET', rec, 'v', ARGV[1], 'fields', ARGV[2], 'across', ARGV[3], 'secret', ARGV[4], 'i', ARGV[5], 'ready', 0)
  f = {ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], '0'}
elseif f[1] == ARGV[1] and f[5] == ARGV[7] then
  redis.call('HSET', rec, 'i', ARGV[5], 'ready', 0)
  f[5], f[6] = ARGV[5], '0'
end
if f[1] == ARGV[1] and redis.call('PTTL', rec) < tonumber(ARGV[6]) then redis.call('PEXPIRE', rec, ARGV[6]) end
return f
