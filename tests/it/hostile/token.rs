//! Hostile tokens at the login server: one answer for all.
