local subject = redis.call('HGET', key('account', told.account), 'subject')
if not subject then return 0 end
withdraw_account(told.account, subject, 'erased')
for _, device in ipairs(redis.call('LRANGE', key('devices-of', told.account), 0, -1)) do
  redis.call('DEL', key('key', redis.call('HGET', key('device', device), 'key_id')), key('device', device))
end
for _, identity in ipairs(redis.call('SMEMBERS', key('identities-of', told.account))) do
  redis.call('DEL', key('identity', identity))
end
redis.call('ZREM', PREFIX .. 'accounts', told.account)
audit('account_erased', subject)
redis.call('DEL', key('account', told.account), key('subject', subject), key('devices-of', told.account),
  key('sessions-of', told.account), key('identities-of', told.account), key('audit-of', subject))
return 1
