//! Verifying what an agent signed, in the order of protocol section 6.4, for this login server or anybody's backend.
//!
//! The order is made of types. Each step consumes the one before, so that none can be left out or swapped:
//!
//! 1. [`Presented::parse`] looks at size, form and header, and names the key that is said to have signed;
//! 2. the caller looks that key up and passes what it found, or nothing, to [`Presented::verify`];
//! 3. a sound login token is [`Redeemable`]: its challenge is marked used in the caller's single-use store ([`mark`]);
//! 4. only the [`mark::FirstUse`] from there turns it into [`Redeemed`], which is what a session is opened for.
//!
//! Nothing here waits, asks for the time or remembers anything, except [`mark::Marks`], the single-use store of one
//! process. Every cause of a refusal is a [`Fault`] for the log. Whoever presented the token must get one and the same
//! answer for all of them.

#[cfg(test)]
mod allocations;
mod challenge;
#[cfg(test)]
mod counted;
mod device;
mod expectations;
mod fault;
pub mod mark;
mod presented;
mod redeem;
mod signature;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use challenge::ChallengeKeys;
pub use device::Device;
pub use expectations::Expectations;
pub use fault::Fault;
pub use presented::Presented;
pub use redeem::{Proved, Redeemable, Redeemed};
pub use signature::verify_signature;

/// How old a challenge may be when a login token for it is redeemed, in seconds (protocol section 6.4).
pub const LOGIN_CHALLENGE_AGE_SECONDS: u64 = 420;

/// How long a mark outlives the last moment at which its token would be accepted, in seconds (protocol section 6.9).
pub const MARK_MARGIN_SECONDS: u64 = 60;

/// Longest challenge or statement in bytes, each.
pub const PRESENTED_MAX_LEN: usize = crate::protocol::statement::MAX_STATEMENT_LEN;
