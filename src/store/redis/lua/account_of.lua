local account = redis.call('GET', key('subject', told.subject))
return account and account_record(account) or {}
