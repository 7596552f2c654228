//! Certificates for the agent's TLS port, and where browsers are told of them: what `loopkey certs` does.
//!
//! An authority of this person's own is made, signs one certificate for this computer's own names, and loses its key before
//! anything is written: nobody can sign a second one with it, and its constraints would let no browser take that one. A
//! renewal is another authority. Nothing is told to a browser unless the person asks for it, and `remove` takes it all away.

mod desk;
mod fault;
mod issue;
mod nss;
mod record;
mod stores;
mod system;

pub use desk::{Certs, Outlook};
pub use fault::CertsError;
pub use issue::{Issued, issue};
pub use stores::{Known, Store, firefox_folders};
