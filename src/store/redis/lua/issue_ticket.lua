local account = key('account', told.account)
local before = redis.call('HMGET', account, 'subject', 'disabled')
if before[2] == '1' then return false end
local subject = before[1]
if not subject then
  subject = told.fresh_subject
  redis.call('HSET', account, 'account', told.account, 'subject', subject, 'disabled', '0', 'minimum_uv', '0',
    'organisation', '', 'generation', 0, 'created_at', NOW)
  redis.call('SET', key('subject', subject), told.account)
  redis.call('ZADD', PREFIX .. 'accounts', 0, told.account)
end
redis.call('HSET', account, 'name', told.name, 'avatar', told.avatar, 'updated_at', NOW)
-- For the subject, not for the account's name: it does not outlive an account that is erased and made anew.
redis.call('HSET', key('ticket', told.ticket), 'subject', subject, 'expires_at', told.expires_at)
redis.call('PEXPIRE', key('ticket', told.ticket), told.kept_ms)
audit('ticket_issued', subject)
return subject
