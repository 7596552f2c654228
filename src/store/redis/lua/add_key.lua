-- Adds a challenge key under the next number, unless somebody else was quicker; those that are told go.
if redis.call('HSETNX', PREFIX .. 'challenge-keys', told.number, told.key) == 0 then return 0 end
for _, number in ipairs(told.dropped) do redis.call('HDEL', PREFIX .. 'challenge-keys', number) end
if told.what then audit(told.what) end
return 1
