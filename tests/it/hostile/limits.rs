//! Every limit of protocol section 3.2, each hit by a test of its own.
