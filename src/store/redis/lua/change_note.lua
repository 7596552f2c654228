local found = note()
if not found or found[2] ~= told.former then return 0 end
write_note()
return 1
