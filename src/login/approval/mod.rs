//! Approval (protocol section 8): a browser opens an order, and another device of the person lets it in. The device is an
//! enrolled agent that is asked over its link, or a browser in which the person is signed in and which scanned a QR code.
//!
//! The session goes to nobody but the browser that holds the order's cookie, on a request of its own. Neither the QR code
//! nor the digits nor what an approver says opens one. What an order tells its browser is a state, and never a name.

mod agents;
mod approver;
mod asked;
mod events;
mod holder;
mod order;
mod picture;
mod site;

pub(super) use agents::{newest, post as post_statement, question, take};
pub(super) use approver::{decide, scan};
pub(super) use events::stream;
pub(super) use holder::{cancel, finish, open};
pub(super) use picture::show as picture;
pub(super) use site::{file, page};
