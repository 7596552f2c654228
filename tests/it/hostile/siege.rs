//! A thousand hostile connections at once, and the honest page beside them.
