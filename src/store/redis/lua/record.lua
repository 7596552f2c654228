local subject = told.account and redis.call('HGET', key('account', told.account), 'subject')
audit(told.what, subject or nil, told.device, told.detail)
return 1
