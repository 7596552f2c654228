//! Deadlines before the upgrade: how long a head may take, and how long a connection may say nothing.

use super::*;

/// Long enough to be sure, short enough to be before.
const MOMENT: Duration = Duration::from_millis(1);

/// A head in one piece, or byte by byte.
async fn say(page: &mut DuplexStream, bytes: &[u8]) {
    page.write_all(bytes).await.expect("written");
}

/// The refusal and nothing else, and how long after `since` it came.
async fn refused_after(page: &mut DuplexStream, since: Instant) -> Duration {
    let mut answer = [0; REFUSAL.len()];
    page.read_exact(&mut answer).await.expect("an answer");
    let after = since.elapsed();
    assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(REFUSAL));
    assert_eq!(until_closed(page).await.0, b"", "nothing follows the refusal");
    after
}

#[tokio::test(start_paused = true)]
async fn i024_a_head_of_one_byte_a_second() {
    let house = house();
    let mut page = house.knock();
    tokio::time::sleep(Duration::from_secs(100)).await;
    let first_byte = Instant::now();
    for byte in &HEAD.as_bytes()[..3] {
        say(&mut page, &[*byte]).await;
        tokio::time::sleep(Duration::from_secs(1) - MOMENT).await;
    }
    // Each byte is in time for itself; the head is not.
    assert_eq!(refused_after(&mut page, first_byte).await, HEAD_TIMEOUT);
    // The honest page beside it is served.
    read_until(&mut house.open().await, "ready").await;
}

#[tokio::test(start_paused = true)]
async fn i025_a_head_that_is_begun_and_then_nothing_for_three_seconds() {
    let house = house();
    for begun in ["G", "GET /v1 HTTP/1.1\r\n", HEAD.trim_end()] {
        let mut page = house.knock();
        let first_byte = Instant::now();
        say(&mut page, begun.as_bytes()).await;
        assert_eq!(refused_after(&mut page, first_byte).await, HEAD_TIMEOUT, "{begun:?}");
    }
    read_until(&mut house.open().await, "ready").await;
}

/// The boundary itself: three seconds less a moment pass.
#[tokio::test(start_paused = true)]
async fn a_slow_head_is_refused_after_three_seconds_from_its_first_byte() {
    let house = house();
    let (begun, rest) = HEAD.split_at(40);
    let mut in_time = house.knock();
    say(&mut in_time, begun.as_bytes()).await;
    tokio::time::sleep(HEAD_TIMEOUT - MOMENT).await;
    say(&mut in_time, rest.as_bytes()).await;
    read_until(&mut in_time, "hello").await;

    let mut late = house.knock();
    let first_byte = Instant::now();
    say(&mut late, begun.as_bytes()).await;
    assert_eq!(refused_after(&mut late, first_byte).await, HEAD_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_kept_for_a_browsers_prompt_and_goes_on() {
    let house = house();
    let mut page = house.knock();
    tokio::time::sleep(SILENT_TIMEOUT - MOMENT).await;
    say(&mut page, HEAD.as_bytes()).await;
    read_until(&mut page, "hello").await;

    let started = Instant::now();
    let (bytes, closed) = until_closed(&mut house.knock()).await;
    assert_eq!((bytes.len(), closed - started), (0, SILENT_TIMEOUT));
}
