local row = redis.call('HGETALL', key('identity', told.identity))
local account = redis.call('HGET', key('identity', told.identity), 'account')
return account and { row, account_record(account) }
