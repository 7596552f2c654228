-- The time by the server's clock in seconds, where it takes writes.
redis.call('SET', PREFIX .. 'ping', NOW)
return tonumber(redis.call('TIME')[1])
