//! One issuer as the agent sees it: what is true there (the hub) and kept on disk, its keys, and the calls and the link to its
//! login server.

pub(super) mod client;
pub(super) mod errands;
pub(super) mod http;
pub(super) mod hub;
pub(super) mod keystore;
pub(super) mod link;
pub(super) mod profile;
pub(super) mod record;
