//! The agent over real sockets, with a real login server behind it.

mod control;
mod gate;
mod login;
mod sign_out;
mod socket;
