//! Hostile messages on an admitted socket.
