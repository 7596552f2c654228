local account = key('account', told.account)
local before = redis.call('HMGET', account, 'subject', 'disabled')
if before[2] == '1' then return false end
local subject = before[1] or make_account()
redis.call('HSET', account, 'name', told.name, 'avatar', told.avatar, 'updated_at', NOW)
-- For the subject, not for the account's name: it does not outlive an account that is erased and made anew.
redis.call('HSET', key('ticket', told.ticket), 'subject', subject, 'expires_at', told.expires_at)
redis.call('PEXPIRE', key('ticket', told.ticket), told.kept_ms)
audit('ticket_issued', subject)
return subject
