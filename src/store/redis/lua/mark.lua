-- ARGV: the incarnation that the challenge names, the mark, and how long it is kept in milliseconds.
-- The comparison must be in the same step as the insertion: an incarnation that was compared before it may be over.
if life() ~= ARGV[1] then return -1 end
if redis.call('SET', KEYS[1] .. 'mark:' .. ARGV[2], '', 'NX', 'PX', ARGV[3]) then return 1 end
return 0
