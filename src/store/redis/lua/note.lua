return note()
