//! Loopkey: a web page signs a person in with the desktop client that is already signed in on the same computer.
//!
//! A small **agent** on loopback knows who is signed in to the client. A page of an allowed origin finds it, shows
//! "Continue as …", and after the person's consent gets a signed, single-use, five-minute token. The page posts it to the
//! **login server**, which verifies it and answers with a session cookie.
//!
//! # Map
//!
//! | module | what it is | feature |
//! | --- | --- | --- |
//! | [`protocol`] | what both sides say and the machines that decide; no input or output of its own | – |
//! | [`crypto`], [`clock`], `keyfile` | keys and signatures, time, secret files | – |
//! | [`agent`] | the loopback service, to embed or to run | `agent` |
//! | [`verify`] | the order in which a login token is verified, for a login server of your own | `verify` |
//! | [`login`], [`store`] | the login server and what it remembers | `login` |
//! | [`config`], [`cli`] | configuration files, the command | `daemon` |
//! | [`install`] | the agent as part of the desktop | `desktop` |
//! | [`certs`] | certificates for the agent's TLS port, and the browsers that are told of them | `desktop` |
//! | [`policies`] | what administrators put on people's computers | `desktop` |
//! | [`doctor`] | what is wrong, and what to do | `desktop` |
//! | [`demo`] | everything at once; with it the command also runs a login server | `cli` |
//!
//! # An agent inside your program
//!
//! ```no_run
//! # #[cfg(feature = "agent")]
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! use loopkey::agent::{Agent, AgentSettings, IssuerSettings, OriginSettings};
//! use loopkey::protocol::grant::{ConsentMode, Grant, OpenProof};
//!
//! let mut settings = AgentSettings::new("/home/ada/.local/share/app/loopkey".into(), "/run/user/1000/app/control.sock".into());
//! settings.issuers = vec![IssuerSettings { url: "https://app.example.com/loopkey".parse()?, ca_file: None }];
//! settings.origins = vec![OriginSettings {
//!     origin: "https://app.example.com".parse()?,
//!     issuer: "https://app.example.com/loopkey".parse()?,
//!     grants: [Grant::Presence, Grant::Login].into_iter().collect(),
//!     consent: ConsentMode::Prompt,
//!     proof: OpenProof::Challenge,
//! }];
//! let agent = Agent::builder(settings).bind().await?;
//! let handle = agent.handle(); // enrol, set_presence, sign_out, …
//! agent.run(std::future::pending()).await;
//! # drop(handle);
//! # Ok(())
//! # }
//! ```
//!
//! # Verifying a token in your own backend
//!
//! ```no_run
//! # #[cfg(feature = "verify")]
//! # fn redeem(
//! #     challenge: &str, token: &str, subject: &loopkey::protocol::id::Subject,
//! #     find: impl Fn(loopkey::crypto::KeyId) -> Option<loopkey::verify::Device>,
//! #     expected: &loopkey::verify::Expectations<'_>, marks: &loopkey::verify::mark::Marks,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use loopkey::protocol::statement::Login;
//! use loopkey::verify::Presented;
//!
//! let presented = Presented::<Login>::parse(challenge, token)?;
//! let device = find(presented.key_id()); // your own look-up
//! let redeemable = presented.verify(device.as_ref(), expected, subject)?;
//! let first_use = marks.mark(redeemable.mark(), redeemable.incarnation(), redeemable.until())?;
//! let redeemed = redeemable.redeem(first_use)?; // open the session for this
//! # let _ = redeemed;
//! # Ok(())
//! # }
//! ```
//!
//! The wire is specified in `docs/protocol.md`, what stops whom in `docs/threat-model.md`.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "desktop")]
pub mod certs;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod clock;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "connectors")]
pub mod connectors;
#[cfg(test)]
mod counted;
pub mod crypto;
#[cfg(feature = "cli")]
pub mod demo;
#[cfg(feature = "desktop")]
pub mod doctor;
#[cfg(feature = "desktop")]
pub mod install;
#[cfg(any(feature = "agent", feature = "login"))]
pub mod keyfile;
#[cfg(feature = "login")]
pub mod login;
#[cfg(feature = "desktop")]
pub mod policies;
pub mod protocol;
#[cfg(feature = "login")]
pub mod store;
#[cfg(feature = "verify")]
pub mod verify;
