local devices = {}
for _, device in ipairs(redis.call('LRANGE', key('devices-of', told.account), 0, -1)) do
  if redis.call('HGET', key('device', device), 'revoked_at') == '' then devices[#devices + 1] = device_record(device) end
end
return devices
