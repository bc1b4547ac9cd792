-- What the scripts on a shard share; it is put in front of each of them.
-- A place: 4 bytes until when its last record is kept (s), then records of 44 bytes:
-- field 14, recorded 8, window 5, until 4, body hash 8, holder 5.
-- A head (hash): i incarnation, g generation, b bits, o bits before the doubling that is under way,
-- n holders so far, t until when it is kept (s), p when it was swept (s),
-- 'r' .. batch -> holder, holder -> batch .. until (unresolved) or 'A' .. until (aborted).
-- A holder that the head doesn't name is committed.
if redis.replicate_commands then redis.replicate_commands() end
local call, byte, sub, find = redis.call, string.byte, string.sub, string.find
local DAY = 86400

local function u32(s, i)
  local a, b, c, d = byte(s, i, i + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local function now()
  local t = call('TIME')
  return tonumber(t[1]), t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))
end

-- Whether the shard is as the caller thinks; else what to answer. f: i, b, o of the head.
local function differs(f, incarnation, bits, old)
  if f[1] ~= incarnation then return {'lost'} end
  if f[2] ~= bits or (f[3] or '') ~= old then return {'bits', f[2], f[3] or ''} end
end
