-- ARGV: the incarnation that the challenge names, the mark, how long it is kept in milliseconds, the time in seconds by the
-- caller's clock, and the random half of a new life.
-- The comparison must be in the same step as the insertion: an incarnation that was compared before it may be over.
if life() ~= ARGV[1] then return -1 end
-- Marks go by the server's clock, tokens by the callers'. `least` is how far the server's was ahead of a caller's when they
-- were closest in this life. Where it is ahead by much more, the server's clock was set forward, or a caller's is behind:
-- a mark may be gone whose token still counts. So that life is over. The limit is half of the margin that marks have.
local CLOCK, LIMIT_SECONDS = KEYS[1] .. 'clock', 60
local ahead = redis.call('TIME')[1] - ARGV[4]
local least = tonumber(redis.call('GET', CLOCK))
if least and ahead > least + LIMIT_SECONDS then
  redis.call('SET', KEYS[1] .. 'life', ARGV[5])
  redis.call('SET', CLOCK, ahead)
  return -2
end
if not least or ahead < least then redis.call('SET', CLOCK, ahead) end
if redis.call('SET', KEYS[1] .. 'mark:' .. ARGV[2], '', 'NX', 'PX', ARGV[3]) then return 1 end
return 0
