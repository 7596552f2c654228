-- Nobody's record is touched, however many they are: sessions and devices are measured by the organisation's number.
if redis.call('HEXISTS', PREFIX .. 'organisations', told.organisation) == 0 then return 0 end
local below = redis.call('HINCRBY', PREFIX .. 'organisations', told.organisation, 1)
audit('organisation_signed_out', nil, nil, told.detail)
withdraw(cjson.encode({
  what = 'organisation', organisation = told.organisation, below = below, reason = 'logged_out_everywhere',
}))
return 1
