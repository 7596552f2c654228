//! A bridge's socket until its first frame has said whose it is.

use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::agent::core::{Core, Stop};
use crate::agent::page::wire::{Event, Wire};
use crate::protocol::bridge::BridgeMessage;
use crate::protocol::code::CloseCode;
use crate::protocol::gate::{Gate, Refused};
use crate::protocol::limits::{CONTROLS_PER_SECOND, OPEN_TIMEOUT, RATE_BURST};
use crate::protocol::origin::{AdmittedOrigin, Origin};
use crate::protocol::rate::RateLimit;
use crate::protocol::time::Moment;

/// A bridge that came to nothing.
pub(in crate::agent) enum Unmet {
    /// It is closed with this code.
    Closed(CloseCode),
    /// The same, and why it is refused; what origin it named, where that is known.
    Refused(Refused, Option<Origin>),
    /// It said goodbye, or is gone.
    Gone,
}

/// Waits for the first frame of a socket that was upgraded at `since`, and admits the page that it names. A key is used up
/// whatever else the frame says.
pub(in crate::agent) async fn meet<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    core: &Core,
    gate: &Gate,
    since: Moment,
    mut stop: watch::Receiver<Stop>,
) -> Result<AdmittedOrigin, Unmet> {
    let mut controls = RateLimit::new(CONTROLS_PER_SECOND, RATE_BURST);
    let late = core.timers.sleep_until(since + OPEN_TIMEOUT).fuse();
    tokio::pin!(late);
    let text = loop {
        let event = tokio::select! {
            biased;
            () = Stop::wait(&mut stop) => return Err(Unmet::Closed(CloseCode::GoingAway)),
            () = &mut late => return Err(Unmet::Closed(CloseCode::TimedOut)),
            event = wire.event() => event,
        };
        match event {
            Event::Text(text) => break text,
            Event::Control if controls.admit(core.clock.now()) => {}
            Event::Control => return Err(Unmet::Closed(CloseCode::OverLimit)),
            Event::Sent => {}
            Event::Binary => return Err(Unmet::Closed(CloseCode::Unsupported)),
            Event::Broken(code) => return Err(Unmet::Closed(code)),
            Event::Goodbye(_) | Event::Gone => return Err(Unmet::Gone),
        }
    };
    let Ok(BridgeMessage::Bridge { key, origin }) = BridgeMessage::parse(text.as_str()) else {
        return Err(Unmet::Refused(Refused::Bridge, None));
    };
    let named = || origin.parse().ok();
    let delivery = core.take_bridge(&key).ok_or_else(|| Unmet::Refused(Refused::Bridge, named()))?;
    gate.admit_opener(&delivery, &origin).ok_or_else(|| Unmet::Refused(Refused::Origin, named()))
}
