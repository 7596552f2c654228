//! What stands between a login server and its store, or between a store and its replica: a TCP proxy that leads where the
//! test says, delays, and cuts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// A proxy, gone when it is dropped.
pub(super) struct Proxy {
    port: u16,
    way: Arc<Way>,
    _listener: JoinSet<()>,
}

struct Way {
    /// Where connections go. A change cuts those that are there.
    to: watch::Sender<Option<u16>>,
    /// How long answers take, in milliseconds.
    delay: AtomicU64,
    trap: Mutex<Trap>,
}

/// A request that is looked out for.
#[derive(Default)]
struct Trap {
    /// What it holds; nothing where there is none.
    bytes: Vec<u8>,
    /// Whether the connection is cut when its answer comes.
    cuts: bool,
    seen: bool,
}

impl Proxy {
    /// A proxy that leads to a port of this computer.
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let to = watch::Sender::new(Some(port));
        let way = Arc::new(Way { to, delay: AtomicU64::new(0), trap: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&way)));
        Self { port: own, way, _listener: tasks }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Leads elsewhere, and cuts every connection that is there.
    pub(super) fn lead_to(&self, port: u16) {
        self.way.to.send_replace(Some(port));
    }

    /// Cuts every connection, and lets nobody through.
    pub(super) fn cut(&self) {
        self.way.to.send_replace(None);
    }

    /// Every answer takes so long from now on.
    pub(super) fn delay(&self, by: Duration) {
        self.way.delay.store(u64::try_from(by.as_millis()).expect("short"), Ordering::SeqCst);
    }

    /// Looks out for the request that holds these bytes.
    pub(super) fn look_out_for(&self, request: &[u8]) {
        *self.way.trap() = Trap { bytes: request.to_vec(), cuts: false, seen: false };
    }

    /// The request that holds these bytes is passed on; when its answer comes, the connection is cut instead.
    pub(super) fn cut_the_answer_to(&self, request: &[u8]) {
        *self.way.trap() = Trap { bytes: request.to_vec(), cuts: true, seen: false };
    }

    /// Whether the request was passed on.
    pub(super) fn has_seen_it(&self) -> bool {
        self.way.trap().seen
    }
}

impl Way {
    fn trap(&self) -> MutexGuard<'_, Trap> {
        self.trap.lock().expect("not poisoned")
    }

    /// Whether the answer to this request is to be cut.
    fn is_trapped(&self, request: &[u8]) -> bool {
        let mut trap = self.trap();
        let length = trap.bytes.len();
        if trap.seen || length == 0 || !request.windows(length).any(|part| part == trap.bytes) {
            return false;
        }
        trap.seen = true;
        trap.cuts
    }
}

async fn listen(listener: TcpListener, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        connections.spawn(carry(client, Arc::clone(&way)));
        while connections.try_join_next().is_some() {}
    }
}

/// Carries a connection to its end. What was under way then is lost, as it is when a computer dies.
async fn carry(client: TcpStream, way: Arc<Way>) {
    let mut to = way.to.subscribe();
    let port = *to.borrow_and_update();
    let Some(port) = port else { return };
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a socket");
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = watch::Sender::new(false);
    tokio::select! {
        () = requests(from_client, to_server, &way, &cut) => {}
        () = answers(from_server, to_client, &way, &cut) => {}
        _ = to.changed() => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: &Way, cut: &watch::Sender<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if way.is_trapped(&bytes[..length]) {
            cut.send_replace(true);
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: &Way, cut: &watch::Sender<bool>) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let due = Instant::now() + Duration::from_millis(way.delay.load(Ordering::SeqCst));
            if *cut.borrow() || queue.send((due, bytes[..length].to_vec())).is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, bytes)) = queued.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}
