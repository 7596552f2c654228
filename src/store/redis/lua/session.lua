return session_record(told.session)
