-- The log's life, the number of its last entry, and the entries after a place; false where some may be missing.
local function seq(entry)
  return entry and tonumber(string.match(entry[1], '%d+$')) or 0
end
local current, last = life() or life(told.fresh), seq(redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1])
if told.life ~= current or told.seq > last then return { current, last, false } end
local found = {}
if told.seq < last then
  local after = '(0-' .. string.format('%.0f', told.seq)
  local entries = redis.call('XRANGE', LOG, after, '+', 'COUNT', told.limit)
  if seq(entries[1]) ~= told.seq + 1 then return { current, last, false } end
  for i, entry in ipairs(entries) do found[i] = entry[2][4] end
end
return { current, last, found }
