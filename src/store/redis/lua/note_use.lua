local last = redis.call('HGET', key('session', told.session), 'last_used')
-- Never makes a session that is gone.
if last and tonumber(last) < NOW then redis.call('HSET', key('session', told.session), 'last_used', NOW) end
return 1
