//! Key files, a port taken by somebody else, and how the agent may not be started.
