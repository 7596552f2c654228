if note() then return 0 end
write_note()
return 1
