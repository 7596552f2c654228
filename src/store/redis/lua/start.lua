-- The schema's version, which is ours where there was none.
redis.call('SET', PREFIX .. 'schema', told.schema, 'NX')
return redis.call('GET', PREFIX .. 'schema')
