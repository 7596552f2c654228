local device = redis.call('GET', key('key', told.key_id))
return device and device_record(device)
