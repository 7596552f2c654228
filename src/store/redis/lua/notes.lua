-- What the scripts of notes share. A note is bound to the store's life: a failover could bring back one that was taken.
local NOTE = key('note', told.note)
local current = life() or life(told.fresh)

-- A note that counts: its value, its version, its end.
local function note()
  local of = redis.call('HMGET', NOTE, 'value', 'version', 'until', 'life')
  if not of[1] or of[4] ~= current or NOW >= tonumber(of[3]) then return false end
  return { of[1], of[2], of[3] }
end

local function write_note()
  redis.call('HSET', NOTE, 'value', told.value, 'version', told.version, 'until', told['until'], 'life', current)
  redis.call('PEXPIRE', NOTE, told.kept_ms)
end
