//! Hostile WebSocket frames, after the upgrade.
