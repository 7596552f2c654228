local found = note()
redis.call('DEL', NOTE)
return found and found[1]
