local device, account = session_owner(told.session)
if not account or account ~= told.account then return 0 end
redis.call('DEL', key('session', told.session))
redis.call('ZREM', key('sessions-of', account), told.session)
audit('logged_out', redis.call('HGET', key('account', account), 'subject'), device)
withdraw(told.entry)
return 1
