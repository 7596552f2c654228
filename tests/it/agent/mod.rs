//! The agent over real sockets, with a real login server behind it.

mod actions;
mod audit;
mod control;
mod gate;
mod grants;
mod login;
mod node;
mod opened;
mod schema;
mod sign_out;
mod socket;
