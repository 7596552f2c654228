//! Text frames of the link, either way: the login server reads what an agent says, and the agent what somebody in the login
//! server's place may say.

use loopkey::protocol::id::Nonce;
use loopkey::protocol::link::{ServerLink, ToAgent, ToServer};
use loopkey::protocol::time::Moment;

/// The bytes are one frame.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let to_server = ToServer::parse(text).ok();
    if let Some(frame) = &to_server {
        assert_eq!(ToServer::parse(&frame.encode()).ok().as_ref(), Some(frame), "it is read back");
        assert!(format!("{frame:?}").len() < 32, "it shows which frame it is and no more");
    }
    let to_agent = ToAgent::parse(text).ok();
    if let Some(frame) = to_agent.as_ref().filter(|frame| **frame != ToAgent::Unknown) {
        assert_eq!(ToAgent::parse(&frame.encode()).ok().as_ref(), Some(frame), "it is read back");
    }
    // A link that has just begun takes one L, and nothing twice.
    let (mut link, _) = ServerLink::new(Nonce::from_bytes([7; 32]));
    let first = link.take(text, Moment(std::time::Duration::ZERO)).is_ok();
    assert!(!first || matches!(to_server, Some(ToServer::Open { .. })), "only open opens");
    to_server.is_some() || to_agent.is_some()
}
