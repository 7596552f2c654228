local identities = {}
for _, identity in ipairs(redis.call('SMEMBERS', key('identities-of', told.account))) do
  identities[#identities + 1] = redis.call('HGETALL', key('identity', identity))
end
return identities
