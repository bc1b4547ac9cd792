-- KEYS, ARGV: as for reserve, without the latest until; of each place fields and recorded times.
local head, ref = KEYS[1], ARGV[4]
local f = call('HMGET', head, 'i', 'b', 'o', 'r' .. ref)
local other = differs(f, ARGV[1], ARGV[2], ARGV[3])
if other then return other end
local mine, places = f[4], #ARGV - 4
if not mine then return {'ok', 0} end
local freed = 0

local function without(place, asks)
  local body = call('GET', place)
  if not body then return end
  local before = #body
  for i = 1, #asks, 22 do
    local wanted = sub(asks, i, i + 21)
    local at = find(body, wanted, 5, true)
    while at do
      if (at - 5) % 44 == 0 and sub(body, at + 39, at + 43) == mine then
        body = sub(body, 1, at - 1) .. sub(body, at + 44)
        freed = freed + 1
      else
        at = at + 1
      end
      at = find(body, wanted, at, true)
    end
  end
  if #body == 4 then call('DEL', place)
  elseif #body < before then call('SET', place, body, 'KEEPTTL') end
end

for j = 1, places do
  without(KEYS[1 + j], ARGV[4 + j])
  if ARGV[3] ~= '' then without(KEYS[1 + places + j], ARGV[4 + j]) end
end
return {'ok', freed}
