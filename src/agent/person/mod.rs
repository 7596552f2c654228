//! The person: who asks her and how, what she opened herself, and what an administrator settled for her.

pub(super) mod approval;
pub(super) mod ask;
pub(super) mod consent;
pub(super) mod open;
pub(super) mod pass;
pub(super) mod policy;
pub(super) mod window;
