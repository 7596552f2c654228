local entries = {}
local function add(entry)
  -- Nothing where it was dropped since.
  if not entry then return end
  local subject = entry[2][6]
  entries[#entries + 1] = { entry[2], redis.call('GET', key('subject', subject)) }
end
if told.account then
  local subject = redis.call('HGET', key('account', told.account), 'subject')
  local ids = subject and redis.call('LRANGE', key('audit-of', subject), 0, told.limit - 1) or {}
  for _, id in ipairs(ids) do add(redis.call('XRANGE', PREFIX .. 'audit', id, id)[1]) end
else
  for _, entry in ipairs(redis.call('XREVRANGE', PREFIX .. 'audit', '+', '-', 'COUNT', told.limit)) do add(entry) end
end
return entries
