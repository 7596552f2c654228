local sessions = {}
for _, session in ipairs(redis.call('ZRANGE', key('sessions-of', told.account), 0, -1)) do
  sessions[#sessions + 1] = session_record(session) or nil
end
return sessions
