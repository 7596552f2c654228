if redis.call('HGET', key('identity', told.identity), 'account') ~= told.account then return 0 end
redis.call('DEL', key('identity', told.identity))
redis.call('SREM', key('identities-of', told.account), told.identity)
audit('identity_unlinked', (account_standing(told.account)), nil, told.detail)
return 1
