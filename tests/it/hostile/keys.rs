//! Keys that must not be enrolled.
