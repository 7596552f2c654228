//! Clocks that are wrong, or set while marks are about.

use super::*;

/// As if the server's clock had passed the end of every mark.
fn let_marks_expire(server: &RedisServer) {
    let gone = server.say(
        "EVAL \"for _, k in ipairs(redis.call('KEYS', '{loopkey}:mark:*')) do redis.call('DEL', k) end return 'OK'\" 0",
    );
    assert_eq!(gone, "OK");
}

async fn opened_at(server: &RedisServer, clock: &Arc<ManualClock>) -> Redis {
    Redis::open(&shared(&server.url()), clock.clone()).await.expect("opened")
}

fn set_back(clock: &ManualClock, seconds: u64) {
    clock.set_wall(UnixMillis(clock.wall().0 - seconds * 1000));
}

#[tokio::test]
async fn a_token_is_not_taken_twice_where_a_clock_was_set() {
    let (server, clock) = (RedisServer::start(&[]), clock());
    let store = opened_at(&server, &clock).await;
    let (before, log) = (store.incarnation().await.expect("store"), store.log_end().await.expect("store"));
    let used = challenge();
    assert_eq!(mark(&store, &used, &before).await, None);
    set_back(&clock, 30);
    assert_eq!(mark(&store, &used, &before).await, Some(MarkError::Used), "the margin is for this");
    // The server's clock goes ahead of ours: to it that is the same as ours going back. By its clock the mark is over.
    let_marks_expire(&server);
    set_back(&clock, 60);
    assert_eq!(mark(&store, &used, &before).await, Some(MarkError::Stale));
    let after = store.incarnation().await.expect("store");
    assert_ne!(after, before);
    assert_eq!(mark(&store, &used, &before).await, Some(MarkError::Stale), "for good");
    assert!(matches!(store.withdrawals(&log).await.expect("store"), Tail::Lost(_)));
    // The new life goes by the clocks as they are now.
    assert_eq!(mark(&store, &used, &after).await, None);
    assert_eq!(mark(&store, &used, &after).await, Some(MarkError::Used));
    assert_eq!(store.incarnation().await.expect("store"), after);
}

#[tokio::test]
async fn login_servers_whose_clocks_differ_do_not_take_a_token_twice() {
    let (server, ahead) = (RedisServer::start(&[]), clock());
    let (wrong, right) = (opened_at(&server, &ahead).await, opened_at(&server, &clock()).await);
    let incarnation = right.incarnation().await.expect("store");
    // Its marks are kept for too short a time for the others.
    ahead.advance(Duration::from_secs(400));
    let used = challenge();
    assert_eq!(mark(&wrong, &used, &incarnation).await, None);
    let_marks_expire(&server);
    assert_eq!(mark(&right, &used, &incarnation).await, Some(MarkError::Stale));
}

#[tokio::test]
async fn a_token_that_is_over_by_now_gets_no_mark() {
    let (server, clock) = (RedisServer::start(&[]), clock());
    let store = opened_at(&server, &clock).await;
    let (incarnation, now) = (store.incarnation().await.expect("store"), clock.timestamp());
    let marked = store.mark(&challenge(), &incarnation, now).await;
    assert_eq!(marked.err(), Some(MarkError::Unavailable));
    assert!(store.mark(&challenge(), &incarnation, now.plus(1)).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_not_the_servers_is_refused_and_not_ready() {
    let (server, clock) = (RedisServer::start(&[]), clock());
    let store = opened_at(&server, &clock).await;
    store.ping().await.expect("ready");
    set_back(&clock, 60);
    let error = store.ping().await.expect_err("not ready").to_string();
    assert!(error.contains("clock differs") && error.contains("NTP"), "{error}");
    let error = Redis::open(&shared(&server.url()), clock.clone()).await.expect_err("refused");
    assert!(matches!(error, RedisRefused::Clock(60..)), "{error}");
    clock.set_wall(SystemClock.wall());
    store.ping().await.expect("ready again");
}
