//! Hostile HTTP at the login server.
