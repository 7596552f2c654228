//! The signed statements (protocol section 5): what each says, how long it lives, and how it is verified.
//!
//! | statement | signed by | says |
//! | --- | --- | --- |
//! | [`Challenge`] C | issuer | "this page of this browser asks now" |
//! | [`Presence`] P | device key | "the enrolled agent is here, and its state is …" |
//! | [`Login`] T | device key | "the person agreed; let this browser in" |
//! | [`SignOut`] S | device key | "everything before this epoch is over" |
//! | [`Link`] L | device key | "the enrolled agent opens this link" |
//! | [`Enrolment`] E | the new device key | "this key belongs to whoever holds the ticket" |
//! | [`Approval`] A | device key | "the person let the browser of this order in, or did not" |
//! | [`AccessToken`] | issuer | "a backend redeemed a T of this person" |

mod access;
mod approval;
mod challenge;
mod enrolment;
mod header;
pub mod jwk;
mod jws;
mod link;
mod login;
mod presence;
mod sign_out;
#[cfg(test)]
mod tests;

pub use access::{ACCESS_LIFE_SECONDS, AccessToken};
pub use approval::Approval;
pub use challenge::{AGENT_AUDIENCE, Audience, CHALLENGE_LIFE_SECONDS, Challenge, sid};
pub use enrolment::{DEVICE_NAME_MAX_LEN, Enrolment, verify_enrolment};
pub use jws::{BadStatement, MAX_STATEMENT_LEN, Statement, Unverified, sign, verify};
pub use link::Link;
pub use login::{LOGIN_LIFE_SECONDS, Login, UserVerification};
pub use presence::{PRESENCE_LIFE_SECONDS, Presence};
pub use sign_out::SignOut;
