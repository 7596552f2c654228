//! Hostile request heads: every one gets the one refusal.
