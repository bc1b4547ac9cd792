-- A batch's record. KEYS: the record. It is a hash: open while it has both c and o, committed with c
-- alone, aborted with o alone, so that resolving takes no memory. k: for how long it is kept beyond
-- its lease (ms), l: its lease (ms), m, n: the shards with its keys. Its lease has left what its time
-- to live has beyond k.
-- ARGV: what to do, and with what. Answers: state, what is left of the lease (ms), m, n, now (ms).
if redis.replicate_commands then redis.replicate_commands() end
local rec, what = KEYS[1], ARGV[1]
local call = redis.call
local f = call('HMGET', rec, 'c', 'o', 'k', 'l', 'm', 'n')
local state = f[1] and (f[2] and 'open' or 'committed') or (f[2] and 'aborted' or 'absent')
local keep, lease, left = tonumber(f[3] or 0), tonumber(f[4] or 0), 0
if state == 'open' then
  left = call('PTTL', rec) - keep
  if left > lease then
    -- The clock went back: no lease has more left than its length.
    left = lease
    call('PEXPIRE', rec, string.format('%d', keep + lease))
  end
end

if what == 'open' then
  -- lease, keep, m, n, whether it may be made
  local k = tonumber(ARGV[3])
  if state == 'absent' and ARGV[6] == '1' then
    call('HSET', rec, 'c', 1, 'o', 1, 'k', ARGV[3], 'l', ARGV[2], 'm', ARGV[4], 'n', ARGV[5])
    call('PEXPIRE', rec, string.format('%d', k + tonumber(ARGV[2])))
    state = 'open'
  elseif state == 'open' then
    local m, n = bit.bor(tonumber(f[5]), tonumber(ARGV[4])), bit.bor(tonumber(f[6]), tonumber(ARGV[5]))
    if k > keep or m ~= tonumber(f[5]) or n ~= tonumber(f[6]) then
      call('HSET', rec, 'k', string.format('%d', math.max(k, keep)), 'm', m, 'n', n)
      call('PEXPIRE', rec, string.format('%d', math.max(k, keep) + left))
    end
  end
elseif what == 'renew' then
  if state == 'open' then
    if f[4] ~= ARGV[2] then call('HSET', rec, 'l', ARGV[2]) end
    call('PEXPIRE', rec, string.format('%d', keep + tonumber(ARGV[2])))
  end
elseif what == 'commit' then
  if state == 'open' then
    call('HDEL', rec, 'o')
    state = 'committed'
  end
elseif what == 'abort' then
  if state == 'open' then
    call('HDEL', rec, 'c')
    state = 'aborted'
  end
elseif what == 'resolve' then
  if state == 'absent' then
    -- Whoever named it must not open it again: its keys are about to be given away.
    call('HSET', rec, 'o', 1)
    call('PEXPIRE', rec, ARGV[2])
    state = 'aborted'
  elseif state == 'open' and left <= 0 then
    call('HDEL', rec, 'c')
    state = 'aborted'
  end
elseif what == 'settled' then
  if state == 'committed' then call('PEXPIRE', rec, ARGV[2]) end
end
local t = call('TIME')
return {state, left, f[5] or '0', f[6] or '0', t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))}
