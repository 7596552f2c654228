//! Hostile origins, and hosts: every one gets the one refusal.
