//! The popup bridge (protocol section 8): its page and script, its socket until it is known whose it is, and what is asked in
//! its window. Everything that the page behind it says and hears goes the way of any other page, through the driver.

mod arrival;
mod delivery;
mod prompts;

pub(in crate::agent) use arrival::{Unmet, meet};
pub(in crate::agent) use delivery::{page, script};
pub(in crate::agent) use prompts::Prompts;
