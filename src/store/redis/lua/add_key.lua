-- Adds a challenge key under the next number, unless somebody else was quicker; the oldest go.
if redis.call('HSETNX', PREFIX .. 'challenge-keys', told.number, told.key) == 0 then return 0 end
redis.call('HDEL', PREFIX .. 'challenge-keys', told.number - told.kept)
if told.what then audit(told.what) end
return 1
