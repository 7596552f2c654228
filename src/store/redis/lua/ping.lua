redis.call('SET', PREFIX .. 'ping', NOW)
return 1
