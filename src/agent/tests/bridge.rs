//! Deadlines of a bridge's socket: the first frame and the page's `open` share the five seconds from the upgrade.

use super::*;

const PAGE: &str = "GET /bridge HTTP/1.1\r\nHost: 127.0.0.1:28970\r\n\r\n";

/// A bridge's socket that has said nothing yet, and when it was upgraded.
async fn silent(house: &House) -> (DuplexStream, Instant) {
    let head = HEAD.replace("/v1 ", "/v1/bridge ").replace("https://app.example", "http://127.0.0.1:28970");
    let mut window = house.knock();
    window.write_all(head.as_bytes()).await.expect("written");
    read_until(&mut window, "\r\n\r\n").await;
    (window, Instant::now())
}

async fn closed_after(mut window: DuplexStream, upgraded: Instant) -> (Duration, Option<u16>) {
    let mut close = [0; 4];
    window.read_exact(&mut close).await.expect("a close frame");
    (upgraded.elapsed(), close_code(&close))
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_never_says_whose_it_is_is_closed_after_five_seconds() {
    let house = house();
    let (window, upgraded) = silent(&house).await;
    assert_eq!(closed_after(window, upgraded).await, (OPEN_TIMEOUT, Some(4408)));
}

#[tokio::test(start_paused = true)]
async fn a_late_first_frame_leaves_its_page_the_rest_of_the_five_seconds() {
    let house = house();
    let mut delivery = house.knock();
    delivery.write_all(PAGE.as_bytes()).await.expect("written");
    let (page, _) = until_closed(&mut delivery).await;
    let page = String::from_utf8(page).expect("text");
    let key = page.split("loopkey-key\" content=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key");
    let (mut window, upgraded) = silent(&house).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let bridge = format!(r#"{{"type":"bridge","key":"{key}","origin":"https://app.example"}}"#);
    window.write_all(&frame(&bridge)).await.expect("written");
    read_until(&mut window, "\"}}").await;
    assert_eq!(closed_after(window, upgraded).await, (OPEN_TIMEOUT, Some(4408)));
}
