//! How a connection gets in: two listening sockets of one port, and of another one for TLS where there is a certificate; the
//! doorman at the gate, the places that there are, and whose process is at the other end. Nothing here knows what is said once a connection is in.

mod begun;
pub(super) mod census;
pub(super) mod certificate;
mod direct;
pub(super) mod doorman;
pub(super) mod listener;
pub(super) mod peer;
