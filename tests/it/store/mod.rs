//! What stores promise, proven where it can be: single use by a model, durability by pulling the plug.

mod model;
