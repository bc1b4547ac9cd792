-- KEYS: head, places, and while the shard is doubled the places before, in the same order.
-- ARGV: incarnation, bits, bits before ('' if none), batch, latest until (s), then what is asked
-- for of each place.
-- Answers: 'ok', now (ms), one answer a key as one string ('0' reserved; '1' and 25 bytes: duplicate;
-- '2' and the holder: held), the unresolved holders met with their batches, bytes in the places.
local head, ref, latest = KEYS[1], ARGV[4], tonumber(ARGV[5])
local f = call('HMGET', head, 'i', 'b', 'o', 't', 'r' .. ref)
local other = differs(f, ARGV[1], ARGV[2], ARGV[3])
if other then return other end
local now_s, now_ms = now()
local places, doubling = #ARGV - 5, ARGV[3] ~= ''
local mine, out, unresolved, states, length = f[5], {}, {}, {}, 0

if mine then
  local v = call('HGET', head, mine)
  if v and byte(v, 1) ~= 65 and u32(v, 35) < latest then
    call('HSET', head, mine, ref .. struct.pack('>I4', latest))
  end
end

local function state(holder)
  if holder == mine then return 'm' end
  local s = states[holder]
  if not s then
    local v = call('HGET', head, holder)
    if not v then s = 'c'
    elseif #v == 5 then s = 'a'
    else
      s = 'o'
      unresolved[#unresolved + 1] = holder
      unresolved[#unresolved + 1] = sub(v, 1, 34)
    end
    states[holder] = s
  end
  return s
end

-- What the records of the key in `body` say, from `at` on, and the body without the dead ones.
local function meet(body, at, field, ask)
  local hi, lo = struct.unpack('>I4I4', ask, 15)
  local verdict
  while at do
    if (at - 5) % 44 ~= 0 then
      at = at + 1
    else
      local s = state(sub(body, at + 39, at + 43))
      if s == 'a' or u32(body, at + 27) < now_s then
        body = sub(body, 1, at - 1) .. sub(body, at + 44)
      else
        local h, l, wh, wl = struct.unpack('>I4I4BI4', body, at + 14)
        local apart, window = (h - hi) * 4294967296 + (l - lo), wh * 4294967296 + wl
        if apart < 0 then apart = -apart end
        if window == 1099511627775 or apart < window then
          if s == 'm' then return '0', body end
          if s == 'c' then verdict = '1' .. sub(body, at + 14, at + 38)
          elseif not verdict then verdict = '2' .. sub(body, at + 39, at + 43) end
        end
        -- Asked for again, as after an answer that was lost.
        if s == 'm' and h == hi and l == lo then return '0', body end
        at = at + 44
      end
    end
    at = find(body, field, at, true)
  end
  return verdict, body
end

local keys, args = KEYS, ARGV
local bodies = call('MGET', unpack(keys, 2, 1 + places))
local befores = doubling and call('MGET', unpack(keys, 2 + places, 1 + 2 * places))
-- Untils are coarse, so that most records bring the one that was seen last.
local seen, seen_s, named = '', 0
local said = 0

for j = 1, places do
  local asks, stored = args[5 + j], bodies[j]
  local before = befores and befores[j]
  local body = stored or '\0\0\0\0'
  local top, wrote
  for i = 1, #asks, 39 do
    local verdict
    if stored or wrote or before then
      local field = sub(asks, i, i + 13)
      local at = find(body, field, 5, true)
      if at then verdict, body = meet(body, at, field, sub(asks, i, i + 38)) end
      if before and (not verdict or byte(verdict, 1) == 50) then
        at = find(before, field, 5, true)
        local there
        if at then there = meet(before, at, field, sub(asks, i, i + 38)) end
        verdict = there or verdict
      end
    end
    if not verdict then
      if not mine then
        local n = call('HINCRBY', head, 'n', 1)
        mine = struct.pack('>BI4', math.floor(n / 4294967296), n % 4294967296)
        call('HSET', head, mine, ref .. struct.pack('>I4', latest), 'r' .. ref, mine)
      end
      if not wrote then
        wrote, top = true, stored and u32(body, 1) or 0
        -- What is over goes, mostly from the front.
        if #body > 4 + 44 * 24 then
          local from = 5
          while from < #body and u32(body, from + 27) < now_s do from = from + 44 end
          if from > 5 then body = sub(body, 1, 4) .. sub(body, from) end
        end
        if #body > 4 + 44 * 64 then
          local keep = {sub(body, 1, 4)}
          for k = 5, #body, 44 do
            if u32(body, k + 27) >= now_s then keep[#keep + 1] = sub(body, k, k + 43) end
          end
          body = table.concat(keep)
        end
      end
      local till = sub(asks, i + 27, i + 30)
      if till ~= seen then
        seen, seen_s = till, u32(till, 1)
        named = string.format('%d000', seen_s)
      end
      if seen_s > top then
        top = seen_s
        body = till .. sub(body, 5) .. sub(asks, i, i + 38) .. mine
      elseif #asks == 39 then
        body = body .. asks .. mine
      else
        body = body .. sub(asks, i, i + 38) .. mine
      end
      verdict = '0'
    end
    said = said + 1
    out[said] = verdict
  end
  if wrote then
    if not stored or top ~= u32(stored, 1) then
      if top ~= seen_s then named, seen = string.format('%d000', top), '' end
      call('SET', keys[1 + j], body, 'PXAT', named)
    else
      call('SET', keys[1 + j], body, 'KEEPTTL')
    end
  end
  length = length + #body
end

-- The head outlives every record of the shard: without it they would count as committed.
if latest + DAY > tonumber(f[4]) then
  local till = string.format('%d', latest + 30 * DAY)
  call('HSET', head, 't', till)
  call('EXPIREAT', head, till)
end
return {'ok', now_ms, table.concat(out), unresolved, length}
