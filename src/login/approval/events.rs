//! `GET /v1/orders/events`: server-sent events for the browser that waits. They say how the order stands and which picture
//! is shown, and nothing of whoever approves.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::super::answer::Refusal;
use super::super::metrics::Counted;
use super::super::serve::until_set;
use super::super::state::Shared;
use super::holder::holder;
use super::order::{self, Order, Way, refuse};
use crate::protocol::order::OrderState;
use crate::protocol::qr::step_at;
use crate::store::{Hint, NoteKey};

/// Between two looks when nobody hints: a hint may be lost, and the clock ends orders too.
const LOOK: Duration = Duration::from_secs(1);

/// Streams how an order stands, until it is over.
pub(in crate::login) async fn stream(State(server): State<Shared>, headers: HeaderMap) -> Result<Response, Refusal> {
    let key = order::key_of(&holder(&headers)?);
    // Listened to before it is looked for: nothing that happens from now on is missed.
    let hints = server.store.hints();
    order::read(&server, &key).await?.ok_or_else(|| refuse("there is none"))?;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let closing = server.closing.subscribe();
    let counted = Counted::new(&server.metrics.event_streams);
    let feed = Feed { _counted: counted, server, key, hints, closing, look, told: None, over: false };
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
    key: NoteKey,
    hints: broadcast::Receiver<Hint>,
    closing: watch::Receiver<bool>,
    look: Interval,
    /// What was told last: the state, and the picture.
    told: Option<(OrderState, Option<u64>)>,
    over: bool,
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        while !self.over {
            let is_news = tokio::select! {
                biased;
                () = until_set(&mut self.closing) => return None,
                hint = self.hints.recv() => match hint {
                    Ok(Hint::NoteChanged { note }) => note == self.key,
                    Ok(_) => false,
                    Err(broadcast::error::RecvError::Lagged(_)) => true,
                    Err(broadcast::error::RecvError::Closed) => {
                        self.look.tick().await;
                        true
                    }
                },
                _ = self.look.tick() => true,
            };
            if is_news && let Some(frame) = self.tell().await {
                return Some(frame);
            }
        }
        None
    }

    /// What is news of the order, as it is now.
    async fn tell(&mut self) -> Option<String> {
        // Where nothing is known, nothing is said; it is looked at again.
        let Ok(order) = order::read(&self.server, &self.key).await else { return None };
        let now = order.as_ref().map_or((OrderState::Expired, None), |order| (order.state, self.picture(order)));
        if self.told == Some(now) {
            return None;
        }
        self.told = Some(now);
        let (state, picture) = now;
        // A page that lost the stream behind the approval opens it again, and finds it so.
        self.over = state.is_over();
        let picture = picture.map(|step| format!(",\"picture\":{step}")).unwrap_or_default();
        Some(format!("event: order\ndata: {{\"state\":\"{}\"{picture}}}\n\n", state.as_str()))
    }

    fn picture(&self, order: &Order) -> Option<u64> {
        let shown = order.state == OrderState::Pending && order.way == Way::Scan;
        shown.then(|| step_at(order.opened_at, self.server.clock.timestamp()))
    }
}
