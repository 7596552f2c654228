local subject, disabled = account_standing(told.account)
if not subject then return 'no_account' end
if disabled then return 'disabled' end
local owner = redis.call('HGET', key('identity', told.identity), 'account')
if owner and owner ~= told.account then return 'taken' end
write_identity(told.account, subject)
return 'linked'
