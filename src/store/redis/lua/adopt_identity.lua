local owner = redis.call('HGET', key('identity', told.identity), 'account')
local subject, disabled = account_standing(told.account)
-- Somebody else's identity, or an account that is there without this one.
if owner and owner ~= told.account or subject and not owner then return { 'taken', {} } end
if disabled then return { 'disabled', {} } end
write_identity(told.account, subject or make_account())
return { 'adopted', account_record(told.account) }
