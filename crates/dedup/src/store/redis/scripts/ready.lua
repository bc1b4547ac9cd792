-- All heads are there. KEYS: the scope's record. ARGV: incarnation, how long it is kept (ms).
if redis.call('HGET', KEYS[1], 'i') ~= ARGV[1] then return {'other'} end
if redis.call('HGET', KEYS[1], 'ready') ~= '1' then redis.call('HSET', KEYS[1], 'ready', 1) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {'ok'}
