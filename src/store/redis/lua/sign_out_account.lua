local subject = redis.call('HGET', key('account', told.account), 'subject')
if not subject then return 0 end
ask_devices(told.account, function() return true end)
audit(told.what, subject)
if told.from_entry then withdraw(told.from_entry) end
withdraw_account(told.account, subject, 'logged_out_everywhere')
return 1
