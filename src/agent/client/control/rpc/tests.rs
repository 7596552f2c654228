//! Both sides of a connection in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::mpsc;

use super::connection::{MAX_UNDER_WAY, QUEUE_LEN};
use super::line::LINE_MAX_LEN;
use super::*;

fn call(id: u64, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#) + "\n"
}

/// Answers with a text as long as the call says.
fn text(call: Call<'_, Value>) -> Served<'static> {
    let params = call.params.expect("readable");
    let len = usize::try_from(params.as_u64().unwrap_or(0)).expect("short");
    Served::Now(call.id.map(|id| (id, Json::of(&"x".repeat(len)))))
}

/// In paused time: at once, or where everybody waits for somebody else, never.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(1), what).await.expect("it comes, or nobody moves any more")
}

/// A served connection, and the stream of whoever calls, which holds so many bytes.
fn served(held: usize) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (stream, served) = tokio::io::duplex(held);
    let serving = tokio::spawn(async move {
        let (_peer, mut connection) = open(served);
        drop(connection.serve(text).await);
        connection.finish().await;
    });
    (stream, serving)
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_end_is_begun() {
    let (mut stream, served) = tokio::io::duplex(4096);
    stream.write_all(call(1, "note", "null").repeat(3).as_bytes()).await.expect("written");
    drop(stream);
    let (_peer, mut connection) = open(served);
    let begun = AtomicU64::new(0);
    let given_up = connection
        .serve(|_: Call<'_, Value>| {
            begun.fetch_add(1, Ordering::Relaxed);
            Served::Later(Box::pin(std::future::pending()))
        })
        .await;
    drop(given_up);
    assert_eq!(begun.into_inner(), 3);
}

/// As `nc -N` does: it says what it has to, and that this was all, and listens.
#[tokio::test(start_paused = true)]
async fn who_says_nothing_more_still_hears_what_was_answered() {
    let (stream, serving) = served(128);
    let (mut reader, mut writer) = tokio::io::split(stream);
    writer.write_all(call(1, "text", "1000").repeat(2).as_bytes()).await.expect("written");
    writer.shutdown().await.expect("said");
    let mut heard = String::new();
    soon(reader.read_to_string(&mut heard)).await.expect("to the end");
    let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"{}\"}}\n", "x".repeat(1000));
    assert_eq!(heard, answer.repeat(2));
    soon(serving).await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn both_sides_call_each_other() {
    let (left, right) = tokio::io::duplex(4096);
    let (a, mut a_in, a_driver) = listen(left);
    tokio::spawn(a_driver);
    tokio::spawn(async move {
        let (b, mut connection) = open(right);
        let given_up = connection
            .serve(|call: Call<'_, Value>| {
                b.notify("note", &Value::Null);
                let params = call.params.expect("readable");
                let result = if call.method == "double" {
                    Json::of(&(params.as_u64().unwrap_or(0) * 2))
                } else {
                    Err(RpcError::method_not_found(&call.method))
                };
                Served::Now(call.id.map(|id| (id, result)))
            })
            .await;
        drop(given_up);
    });
    assert_eq!(a.call("double", &Value::from(21)).await, Ok(Value::from(42)));
    assert_eq!(a.call("other", &Value::Null).await.map_err(|e| e.code), Err(-32601));
    assert_eq!(a_in.recv().await.map(|n| (n.id, n.method)), Some((None, "note".into())));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_listens_to_is_answered_and_the_connection_goes_on() {
    let (left, right) = tokio::io::duplex(4096);
    let (a, incoming, driver) = listen(left);
    drop(incoming);
    tokio::spawn(driver);
    let (b, _b_in, driver) = listen(right);
    tokio::spawn(driver);
    assert_eq!(b.call("m", &Value::Null).await.map_err(|e| e.code), Err(-32601));
    assert!(!a.is_closed());
}

#[tokio::test(start_paused = true)]
async fn faults_are_answered_and_a_lost_peer_is_noticed() {
    let (left, right) = tokio::io::duplex(4096);
    let (peer, _incoming, driver) = listen(left);
    let driver = tokio::spawn(driver);
    let (reader, mut writer) = tokio::io::split(right);
    let mut lines = BufReader::new(reader).lines();
    for (line, id, code) in [
        ("{", Value::Null, -32700),
        ("[]", Value::Null, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, 1.into(), -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, Value::Null, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, Value::Null, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, Value::Null, -32600),
        (r#"{"jsonrpc":"2.0","id":"a","method":"m","extra":1}"#, "a".into(), -32600),
        (r#"{"jsonrpc":"2.0","id":2}"#, 2.into(), -32600),
        (r#"{"jsonrpc":"2.0","id":3,"method":"m","params":1,"params":1}"#, 3.into(), -32600),
        (r#"{"jsonrpc":"2.0","id":4,"method":"m","params":{"a":1,"a":2}}"#, 4.into(), -32602),
    ] {
        writer.write_all(format!("{line}\n").as_bytes()).await.expect("written");
        let answer = lines.next_line().await.expect("read").expect("a line");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &code.into()), "{line}: {answer}");
    }
    // Nothing that looks like an answer is answered.
    writer
        .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"m\"}}\n")
        .await
        .expect("written");
    writer.write_all(b"{\"result\":1,\"error\":2}\n").await.expect("written");
    let (_, call) = peer.call_numbered("m", &Value::Null);
    let call = tokio::spawn(call);
    assert!(lines.next_line().await.expect("read").expect("a line").contains(r#""method":"m""#));
    drop((lines, writer));
    assert_eq!(soon(call).await.expect("joined").map_err(|e| e.data.map(|d| d.code)), Err(Some("disconnected".into())));
    soon(driver).await.expect("the driver ends");
    assert!(peer.is_closed());
}

/// Whoever drives a connection may give it up; nobody is left to wait for an answer through it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_given_up_ends_the_calls_over_it() {
    let (left, _right) = tokio::io::duplex(4096);
    let (peer, mut connection) = open(left);
    let (_, call) = peer.call_numbered("m", &Value::Null);
    let mut call = Box::pin(call);
    assert!(futures::poll!(&mut call).is_pending());
    let mut serving = Box::pin(connection.serve(text));
    assert!(futures::poll!(&mut serving).is_pending());
    drop(serving);
    drop(connection);
    assert_eq!(soon(call).await, Err(RpcError::disconnected()));
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_are_under_way_and_the_next_waits_for_an_answer() {
    let (mut stream, served) = tokio::io::duplex(64 * 1024);
    for id in 0..2 * MAX_UNDER_WAY {
        stream.write_all(call(id as u64, "wait", "null").as_bytes()).await.expect("room");
    }
    stream.shutdown().await.expect("said");
    let (started, mut taken) = mpsc::unbounded_channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let serving = tokio::spawn(async move {
        let (_peer, mut connection) = open(served);
        let given_up = connection
            .serve(|call: Call<'_, Value>| {
                let _ = started.send(call.id);
                let gate = Arc::clone(&waits);
                Served::Later(Box::pin(async move {
                    gate.acquire().await.expect("open").forget();
                    None
                }))
            })
            .await;
        drop(given_up);
    });
    for _ in 0..MAX_UNDER_WAY {
        taken.recv().await.expect("taken");
    }
    // Whatever could run has run: one thread has them all.
    tokio::task::yield_now().await;
    assert_eq!(taken.try_recv().ok(), None, "one too many");
    gate.add_permits(1);
    assert_eq!(taken.recv().await, Some(Some(Value::from(MAX_UNDER_WAY))));
    tokio::task::yield_now().await;
    assert_eq!(taken.try_recv().ok(), None, "one too many");
    gate.add_permits(2 * MAX_UNDER_WAY);
    soon(serving).await.expect("it ends with the calls");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_for_a_line_is_an_error_and_the_connection_goes_on() {
    let (left, _serving) = served(4096);
    let (a, _a_in, a_driver) = listen(left);
    tokio::spawn(a_driver);
    let frame = r#"{"jsonrpc":"2.0","id":1,"result":""}"#.len() + 1;
    let longest = LINE_MAX_LEN - frame;
    assert_eq!(a.call("m", &Value::from(longest)).await.map(|x| x.as_str().map(str::len)), Ok(Some(longest)));
    let error = a.call("m", &Value::from(longest + 1)).await.expect_err("too long");
    assert_eq!(error.data.map(|data| data.code).as_deref(), Some("too_long"));
    assert_eq!(a.call("m", &Value::from(1)).await, Ok(Value::from("x")));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_too_long_ends_the_connection() {
    let (mut stream, serving) = served(4096);
    let longest = call(1, "m", "1");
    let longest = " ".repeat(LINE_MAX_LEN - longest.len()) + &longest;
    stream.write_all(longest.as_bytes()).await.expect("written");
    let mut heard = [0; 10];
    stream.read_exact(&mut heard).await.expect("an answer");
    // One byte more, and the end of the line is not looked for any further.
    stream.write_all(" ".repeat(LINE_MAX_LEN).as_bytes()).await.expect("written");
    soon(serving).await.expect("it ends");
}

/// It calls and calls and does not read: it is not read from either, and what it has said is answered once it reads.
#[tokio::test(start_paused = true)]
async fn from_whoever_does_not_read_nothing_more_is_taken() {
    let (stream, _serving) = served(4096);
    let (reader, mut writer) = tokio::io::split(stream);
    let calls = 4096;
    let saying = async {
        for id in 0..calls {
            writer.write_all(call(id, "m", "1000").as_bytes()).await.expect("written");
        }
    };
    tokio::pin!(saying);
    // One thread has both: where they wait for each other, whatever could run has run.
    for _ in 0..calls {
        assert!(futures::poll!(&mut saying).is_pending(), "it may say all that it wants");
        tokio::task::yield_now().await;
    }
    let mut lines = BufReader::new(reader).lines();
    let reading = async {
        for id in 0..calls {
            let line = lines.next_line().await.expect("read").expect("a line");
            assert!(line.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)), "{line}");
        }
    };
    soon(async { tokio::join!(saying, reading) }).await;
}

/// Whoever speaks to it without end, and faster than it reads, does not keep its own calls from being heard.
#[tokio::test(start_paused = true)]
async fn what_it_is_told_does_not_keep_a_peer_from_calling() {
    let (stream, served) = tokio::io::duplex(16);
    let (peer, mut connection) = open(served);
    let serving = async { drop(connection.serve(text).await) };
    let telling = async {
        for _ in 0..10_000 {
            peer.notify("note", &Value::Null);
            tokio::task::yield_now().await;
        }
    };
    let (reader, mut writer) = tokio::io::split(stream);
    let calling = async {
        writer.write_all(call(1, "m", "1").as_bytes()).await.expect("written");
        let mut lines = BufReader::new(reader).lines();
        while !lines.next_line().await.expect("read").expect("a line").contains("result") {}
    };
    tokio::select! {
        () = serving => panic!("both are there"),
        () = telling => panic!("its call was not heard"),
        () = calling => {}
    }
}

/// Serving may end before everything was said: what was said by then still goes out, and the connection ends with the last
/// who speaks.
#[tokio::test(start_paused = true)]
async fn what_was_said_goes_out_after_serving_has_ended_and_then_the_connection_ends() {
    let (mut stream, served) = tokio::io::duplex(64);
    let (peer, mut connection) = open(served);
    let other = peer.clone();
    peer.notify("first", &Value::Null);
    let mut serving = Box::pin(connection.serve(text));
    assert!(futures::poll!(&mut serving).is_pending());
    drop(serving);
    other.notify("second", &Value::Null);
    drop(peer);
    let finishing = tokio::spawn(connection.finish());
    let mut heard = String::new();
    while !heard.contains("second") {
        let mut bytes = [0; 64];
        let len = stream.read(&mut bytes).await.expect("readable");
        heard += std::str::from_utf8(&bytes[..len]).expect("ASCII");
    }
    assert_eq!(heard.lines().count(), 2, "{heard}");
    assert!(!finishing.is_finished(), "somebody still speaks");
    drop(other);
    assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
    soon(finishing).await.expect("it ends");
}

/// It says what it has to and reads no answer, on purpose.
#[cfg(unix)]
#[tokio::test]
async fn who_does_not_listen_is_heard_to_the_end() {
    let (client, served) = std::os::unix::net::UnixStream::pair().expect("a pair");
    client.shutdown(std::net::Shutdown::Read).expect("not listening");
    served.set_nonblocking(true).expect("not blocking");
    let (_peer, mut connection) = open(tokio::net::UnixStream::from_std(served).expect("a stream"));
    let heard = AtomicU64::new(0);
    let talk = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut client = client;
        for id in 0..100 {
            client.write_all(call(id, "m", "1").as_bytes()).expect("written");
        }
    });
    let given_up = connection
        .serve(|call: Call<'_, Value>| {
            heard.fetch_add(1, Ordering::Relaxed);
            text(call)
        })
        .await;
    drop(given_up);
    talk.join().expect("it says everything");
    connection.finish().await;
    assert_eq!(heard.into_inner(), 100);
}

/// Both sides are like this one, and more is on its way than the streams between them hold.
#[tokio::test(start_paused = true)]
async fn long_answers_to_many_calls_at_once_all_come() {
    let (stream, _serving) = served(4096);
    let (peer, _incoming, driver) = listen(stream);
    tokio::spawn(driver);
    let params = Value::from(90_000);
    let calls = (0..2 * MAX_UNDER_WAY).map(|_| peer.call("m", &params));
    for answer in soon(futures::future::join_all(calls)).await {
        assert_eq!(answer.map(|text| text.as_str().map(str::len)), Ok(Some(90_000)));
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_messages_wait_for_whoever_does_not_read_and_no_more() {
    let (mut stream, served) = tokio::io::duplex(16);
    let (peer, mut connection) = open(served);
    let tell = || (0..100).for_each(|_| peer.notify("note", &Value::Null));
    tell();
    let mut serving = Box::pin(connection.serve(text));
    // Nothing that is answered.
    let said = "{\"result\":1,\"error\":2}\n{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n".repeat(10);
    let mut said = said.as_bytes();
    while !said.is_empty() {
        assert!(futures::poll!(&mut serving).is_pending());
        tell();
        let mut saying = Box::pin(stream.write(said));
        let Poll::Ready(written) = futures::poll!(&mut saying) else { panic!("it is heard") };
        said = &said[written.expect("written")..];
    }
    drop(serving);
    drop(peer);
    tokio::spawn(connection.finish());
    let mut heard = String::new();
    soon(stream.read_to_string(&mut heard)).await.expect("to the end");
    assert_eq!(heard.lines().count(), QUEUE_LEN + 1, "those that waited, and the one that was on its way");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_on_the_way_to_an_answer_comes_before_it() {
    let (mut stream, served) = tokio::io::duplex(4096);
    let (peer, mut connection) = open(served);
    stream.write_all(call(1, "m", "null").as_bytes()).await.expect("written");
    let mut serving = Box::pin(connection.serve(|call: Call<'_, Value>| {
        peer.notify("note", &Value::Null);
        text(call)
    }));
    assert!(futures::poll!(&mut serving).is_pending());
    let mut heard = [0; 4096];
    let len = stream.read(&mut heard).await.expect("readable");
    let heard = std::str::from_utf8(&heard[..len]).expect("ASCII");
    assert!(heard.lines().next().is_some_and(|line| line.contains("note")) && heard.contains("result"), "{heard}");
}

/// It comes piece by piece, and between the pieces something else happens.
#[tokio::test(start_paused = true)]
async fn a_line_that_comes_in_pieces_is_no_longer_than_another() {
    let (stream, served) = tokio::io::duplex(2 * LINE_MAX_LEN);
    let (peer, mut connection) = open(served);
    let serving = tokio::spawn(async move { drop(connection.serve(text).await) });
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    for _ in 0..LINE_MAX_LEN / 1024 {
        assert!(!serving.is_finished());
        peer.notify("note", &Value::Null);
        writer.write_all(&[b' '; 1024]).await.expect("written");
        tokio::task::yield_now().await;
    }
    soon(serving).await.expect("it ends");
}

/// More than the queue holds, and then the end, before anybody listens.
#[tokio::test(start_paused = true)]
async fn who_listens_late_hears_everything_that_was_said_before_the_end() {
    let (mut stream, served) = tokio::io::duplex(64 * 1024);
    let said = 3 * u64::try_from(QUEUE_LEN).expect("few");
    for id in 0..said {
        stream.write_all(call(id, "m", "null").as_bytes()).await.expect("room");
    }
    drop(stream);
    let (_peer, mut incoming, driver) = listen(served);
    let driver = tokio::spawn(driver);
    tokio::task::yield_now().await;
    for id in 0..said {
        assert_eq!(soon(incoming.recv()).await.and_then(|call| call.id), Some(id.into()));
    }
    soon(driver).await.expect("it ends");
}
