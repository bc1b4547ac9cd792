-- Moves places into the two that each becomes.
-- KEYS: head, then place, lower, upper, and so on. ARGV: incarnation, bits, bits before, the byte of
-- the field (from 1) and the divisor that bring the deciding bit to the lowest place.
local head = KEYS[1]
local other = differs(call('HMGET', head, 'i', 'b', 'o'), ARGV[1], ARGV[2], ARGV[3])
if other then return other end
local at, by = tonumber(ARGV[4]) - 1, tonumber(ARGV[5])

local function put(place, top, records)
  if #records == 0 then return end
  local body = call('GET', place)
  if body then
    top = math.max(top, u32(body, 1))
    table.insert(records, 1, sub(body, 5))
  end
  call('SET', place, struct.pack('>I4', top) .. table.concat(records), 'PXAT', string.format('%d000', top))
end

for k = 2, #KEYS, 3 do
  local body = call('GET', KEYS[k])
  if body then
    local sides, top = {[0] = {}, [1] = {}}, u32(body, 1)
    for i = 5, #body, 44 do
      local side = sides[math.floor(byte(body, i + at) / by) % 2]
      side[#side + 1] = sub(body, i, i + 43)
    end
    put(KEYS[k + 1], top, sides[0])
    put(KEYS[k + 2], top, sides[1])
    call('DEL', KEYS[k])
  end
end
return {'ok'}
