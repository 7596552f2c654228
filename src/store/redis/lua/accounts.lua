local accounts = {}
local from = told.after and ('(' .. told.after) or '-'
for _, account in ipairs(redis.call('ZRANGEBYLEX', PREFIX .. 'accounts', from, '+', 'LIMIT', 0, told.limit)) do
  accounts[#accounts + 1] = account_record(account)
end
return accounts
