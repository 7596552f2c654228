//! What both sides say and the machines that decide. Pure: no socket, no `async`, no clock, no randomness, no file.
//!
//! Follow one connection through the modules:
//! [`head`] takes the request head apart, [`gate`] admits it, [`connection`] speaks the agent's half of the messages in
//! [`message`] (and [`page`] the page's), behind a [`bridge`] where the browser refuses the socket, [`link`] is what agent and login server say to each other, an [`order`] with its [`qr`] code is how another device lets a browser in, and the [`statement`]s are what gets signed on the way. [`limits`] and [`code`]
//! hold every number and every code once.

pub mod acceptance;
pub mod base64url;
pub mod bridge;
pub mod code;
pub mod connection;
pub mod consent;
pub mod framing;
pub mod gate;
pub mod grant;
pub mod head;
pub mod host;
pub mod id;
pub mod issuer;
pub mod json;
pub mod limits;
pub mod link;
pub mod message;
pub mod metadata;
pub mod news;
pub mod order;
pub mod origin;
pub mod page;
pub mod peer;
pub mod qr;
pub mod rate;
pub mod state;
pub mod statement;
pub mod text_frame;
pub mod time;
