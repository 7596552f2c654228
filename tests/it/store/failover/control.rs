//! The plain scheme, `SET NX` and nothing else, against the same servers, links and failovers: it accepts tokens twice.
//! Where it does not, these tests see nothing.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::proxy::Proxy;
use super::redis::{DELAYS, Pair};

/// Tokens that are accepted before the primary dies.
const TOKENS: usize = 100;

struct Naive(BufReader<TcpStream>);

impl Naive {
    async fn connect(switch: &Proxy) -> Self {
        Self(BufReader::new(TcpStream::connect(("127.0.0.1", switch.port())).await.expect("connected")))
    }

    /// Whether a token is accepted; nothing where the connection is lost.
    async fn accepts(&mut self, token: usize) -> Option<bool> {
        self.0.write_all(format!("SET mark:{token} used NX\r\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        self.0.read_line(&mut answer).await.ok()?;
        match answer.trim_end() {
            "+OK" => Some(true),
            "$-1" => Some(false),
            "" => None,
            other => panic!("{other}"),
        }
    }
}

/// How many tokens are accepted a second time after a failover.
async fn accepted_twice(delay: Duration) -> usize {
    let mut pair = Pair::start(delay).await;
    let switch = Proxy::to(pair.primary.port()).await;
    let mut naive = Naive::connect(&switch).await;
    let (accepted, mut count) = watch::channel(0);
    let using = tokio::spawn(async move {
        let mut token = 0;
        while naive.accepts(token).await == Some(true) {
            token += 1;
            accepted.send_replace(token);
        }
        token
    });
    count.wait_for(|count| *count >= TOKENS).await.expect("tokens are accepted");
    pair.fail_over(&switch);
    let accepted = using.await.expect("no panic");
    let mut naive = Naive::connect(&switch).await;
    let mut twice = 0;
    for token in 0..accepted {
        twice += usize::from(naive.accepts(token).await.expect("an answer"));
    }
    twice
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_scheme_accepts_tokens_twice() {
    assert!(accepted_twice(DELAYS[4]).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the control of the twenty failovers: ./test --long runs it"]
async fn long_the_plain_scheme_accepts_tokens_twice_in_twenty_failovers() {
    let mut twice = Vec::new();
    for delay in DELAYS.into_iter().cycle().take(20) {
        twice.push(accepted_twice(delay).await);
    }
    println!("SET NX alone accepted so many tokens twice in each of twenty failovers: {twice:?}");
    assert!(twice.iter().sum::<usize>() > 0);
}
