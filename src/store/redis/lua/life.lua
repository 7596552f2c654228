-- The store's current life: the primary's replication id, which is another one after each restart and each promotion, and
-- a random value without expiry, which goes with everything else where somebody flushes the data. `fresh` is that value
-- where there is none.
local function life(fresh)
  local replication = redis.call('INFO', 'replication')
  -- A replica has its primary's replication id, and may be writable.
  if not string.find(replication, 'role:master', 1, true) then
    error({ err = 'READONLY this server is not the primary' })
  end
  if fresh then redis.call('SET', KEYS[1] .. 'life', fresh, 'NX') end
  local sentinel = redis.call('GET', KEYS[1] .. 'life')
  return sentinel and (string.match(replication, 'master_replid:(%x+)') .. '.' .. sentinel)
end
