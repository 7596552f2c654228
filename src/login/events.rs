//! `GET /v1/session/events` (protocol section 6.5): server-sent events for a session's pages, until it ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::answer::Refusal;
use super::bus::{Listener, News};
use super::caller::SignedIn;
use super::metrics::Counted;
use super::serve::until_set;
use super::state::Shared;
use crate::protocol::state::PresenceState;
use crate::store::{EndReason, SessionKey, SessionLookup, Standing};

/// Between two comments that keep proxies from closing a silent stream; also how often the session's own end is looked
/// for, which no other call announces.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams a session's events.
pub(super) async fn stream(State(server): State<Shared>, SignedIn(session): SignedIn) -> Result<Response, Refusal> {
    let key = session.key;
    let listener = server.bus.listen(Standing::from(&session)).ok_or(Refusal::TooMany)?;
    // Looked up again now that somebody listens: an end in between told nobody.
    if let SessionLookup::Over(_) = server.store.look_at_session(key).await? {
        return Err(Refusal::NoSession);
    }
    let mut keep_alive = tokio::time::interval(KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let closing = server.closing.subscribe();
    let counted = Counted::new(&server.metrics.event_streams);
    let feed = Feed { _counted: counted, server, key, listener, closing, keep_alive, told: None, over: false };
    let frames = futures::stream::unfold(feed, async |mut feed| {
        let frame = feed.next().await?;
        Some((Ok::<_, Infallible>(frame), feed))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::from_stream(frames)).into_response())
}

struct Feed {
    _counted: Counted,
    server: Shared,
    key: SessionKey,
    listener: Listener,
    closing: watch::Receiver<bool>,
    keep_alive: Interval,
    told: Option<PresenceState>,
    over: bool,
}

impl Feed {
    /// The next frame; nothing once the session or the server has ended.
    async fn next(&mut self) -> Option<String> {
        while !self.over {
            let frame = tokio::select! {
                biased;
                () = until_set(&mut self.closing) => return None,
                news = self.listener.next() => self.tell(news),
                // The first tick comes at once, and with it the answer's first bytes.
                _ = self.keep_alive.tick() => Some(self.look().await),
            };
            if frame.is_some() {
                return frame;
            }
        }
        None
    }

    fn tell(&mut self, news: News) -> Option<String> {
        if let Some(reason) = news.ended {
            return Some(self.end(reason));
        }
        if news.presence == self.told {
            return None;
        }
        self.told = news.presence;
        let presence = self.told.map_or_else(|| "unknown".to_owned(), |presence| presence.to_string());
        Some(format!("event: presence\ndata: {{\"presence\":\"{presence}\"}}\n\n"))
    }

    async fn look(&mut self) -> String {
        match self.server.store.look_at_session(self.key).await {
            Ok(SessionLookup::Over(reason)) => self.end(reason),
            Ok(SessionLookup::Open(_)) => ":\n\n".to_owned(),
            Err(error) => {
                // Nothing is known, so nothing is said; the session's next call decides.
                tracing::warn!("an event stream goes on unseen: {error}");
                ":\n\n".to_owned()
            }
        }
    }

    fn end(&mut self, reason: EndReason) -> String {
        self.over = true;
        format!("event: signed_out\ndata: {{\"reason\":\"{}\"}}\n\n", reason.as_str())
    }
}
