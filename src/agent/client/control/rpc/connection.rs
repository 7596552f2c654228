//! Both directions of one connection. What the other side calls is served where it is read: most calls are answered without
//! waiting for anything, and nothing is woken for them.

use std::io;
use std::task::Poll;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;

use super::call::{Call, Incoming, Params};
use super::error::RpcError;
use super::line::{self, Json, LINE_MAX_LEN, Said};
use super::peer::{Peer, Waiting};

/// Messages that may wait in either direction; then whoever sends waits too.
pub(super) const QUEUE_LEN: usize = 32;
/// Calls of one peer that are under way, or whose answers it has not read; the next is taken when there are fewer.
pub(super) const MAX_UNDER_WAY: usize = 32;
/// The room for lines that is kept for the next ones.
const KEPT_LEN: usize = 4 * 1024;

/// The number of a call, and what is answered; `None` where nothing is, as to a notification.
pub type Answered = Option<(Value, Result<Json, RpcError>)>;

/// What a call comes to.
pub enum Served<'s> {
    /// It is answered.
    Now(Answered),
    /// It waits for something.
    Later(BoxFuture<'s, Answered>),
}

/// A connection; nothing moves but in [`Connection::serve`] and [`Connection::finish`].
pub struct Connection<S> {
    reader: BufReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
    /// What has come of the next line.
    line: Vec<u8>,
    to_send: mpsc::Receiver<String>,
    /// What the system did not take yet.
    outbox: Vec<u8>,
    /// Answers in it.
    unread: usize,
    /// Nothing reaches whoever hangs up, but what they have said before is still read.
    is_heard: bool,
    waiting: Waiting,
}

/// Opens a connection over a stream, and what to speak to the other side with.
pub fn open<S: AsyncRead + AsyncWrite>(stream: S) -> (Peer, Connection<S>) {
    let (lines, to_send) = mpsc::channel(QUEUE_LEN);
    let (reader, writer) = tokio::io::split(stream);
    let waiting = Waiting::default();
    let peer = Peer::new(lines, waiting.clone());
    let connection = Connection {
        reader: BufReader::new(reader),
        writer,
        line: Vec::new(),
        to_send,
        outbox: Vec::new(),
        unread: 0,
        is_heard: true,
        waiting,
    };
    (peer, connection)
}

/// Opens a connection whose calls and notifications are taken one after the other, and the future that drives it until
/// either side closes, and everything that was said before is taken.
pub fn listen<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
) -> (Peer, mpsc::Receiver<Incoming>, impl Future<Output = ()> + Send) {
    let (peer, mut connection) = open(stream);
    let (incoming, received) = mpsc::channel(QUEUE_LEN);
    let driver = async move {
        let hand_on = |Call { id, method, params }: Call<'_, Value>| match params {
            Ok(params) => {
                let call = Incoming { id, method: method.into_owned(), params };
                Served::Later(Box::pin(async {
                    match incoming.send(call).await {
                        Ok(()) => None,
                        // Nobody listens.
                        Err(mpsc::error::SendError(call)) => {
                            call.id.map(|id| (id, Err(RpcError::method_not_found(&call.method))))
                        }
                    }
                }))
            }
            Err(error) => Served::Now(id.map(|id| (id, Err(error)))),
        };
        let mut to_hand_on = connection.serve(hand_on).await;
        connection.finish().await;
        while to_hand_on.next().await.is_some() {}
    };
    (peer, received, driver)
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// Answers each call with `serve`, at most 32 at a time, until the other side hangs up or nobody speaks to it any more.
    /// Of what came before the end each call is begun; those that wait for something then are the result, and given up with it.
    ///
    /// Where it is dropped, the calls are, and the connection can be finished.
    pub async fn serve<'s, P: Params>(
        &mut self,
        serve: impl Fn(Call<'_, P>) -> Served<'s>,
    ) -> FuturesUnordered<BoxFuture<'s, Answered>> {
        let mut under_way = FuturesUnordered::new();
        loop {
            let has_unsent = !self.outbox.is_empty();
            // It is read from also while it does not read: where both sides are like this one, each would wait for the other.
            let may_call = under_way.len() + self.unread < MAX_UNDER_WAY;
            let Self { reader, writer, line, to_send, outbox, is_heard, .. } = self;
            let mut reader = reader.take((LINE_MAX_LEN - line.len()) as u64);
            tokio::select! {
                biased;
                written = writer.write(outbox), if has_unsent => self.written(&written),
                Some(answer) = under_way.next() => self.answer(answer),
                // What others say waits in its queue, whose length is a limit that clients know.
                line = to_send.recv(), if *is_heard && !has_unsent => match line {
                    Some(line) => self.send(&line),
                    None => return under_way,
                },
                _ = reader.read_until(b'\n', line), if may_call => {
                    // A fault, the end, or a line without one.
                    if !self.line.ends_with(b"\n") {
                        self.hang_up();
                        return under_way;
                    }
                    let served = match line::read(&self.line) {
                        Said::Call(call) => serve(call),
                        Said::Answer(number, result) => {
                            self.waiting.answered(number, result);
                            Served::Now(None)
                        }
                        Said::Fault(id, error) => Served::Now(Some((id, Err(error)))),
                        Said::Nothing => Served::Now(None),
                    };
                    self.line.clear();
                    self.line.shrink_to(KEPT_LEN);
                    match served {
                        Served::Now(answer) => self.answer(answer),
                        Served::Later(mut call) => match futures::poll!(&mut call) {
                            Poll::Ready(answer) => self.answer(answer),
                            Poll::Pending => under_way.push(call),
                        },
                    }
                    // Many lines come with one read: others have their turn between them.
                    tokio::task::coop::consume_budget().await;
                }
            }
        }
    }

    /// Sends what is left, until nobody speaks to the other side any more, and hangs up.
    pub async fn finish(mut self) {
        while self.is_heard {
            if !self.outbox.is_empty() {
                let written = self.writer.write(&self.outbox).await;
                self.written(&written);
            } else if let Some(line) = self.to_send.recv().await {
                self.send(&line);
            } else {
                break;
            }
        }
        let _ = self.writer.shutdown().await;
    }

    fn answer(&mut self, answer: Answered) {
        let Some((id, result)) = answer else { return };
        // What was told on the way to an answer goes before it.
        while let Ok(line) = self.to_send.try_recv() {
            self.send(&line);
        }
        if self.is_heard {
            self.send(&line::answer(&id, result.as_ref()));
            self.unread += 1;
        }
    }

    fn send(&mut self, line: &str) {
        self.outbox.extend_from_slice(line.as_bytes());
    }

    fn written(&mut self, written: &io::Result<usize>) {
        match *written {
            Ok(len @ 1..) => drop(self.outbox.drain(..len)),
            Ok(0) | Err(_) => {
                self.is_heard = false;
                self.outbox.clear();
                // No call reaches it any more; what it has said before is still read.
                self.hang_up();
            }
        }
        if self.outbox.is_empty() {
            self.outbox.shrink_to(KEPT_LEN);
            self.unread = 0;
        }
    }
}

impl<S> Connection<S> {
    /// There will be no answers from the other side. Closed first: whoever calls from here on is told so, and not left to wait.
    fn hang_up(&mut self) {
        self.to_send.close();
        self.waiting.clear();
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.hang_up();
    }
}
