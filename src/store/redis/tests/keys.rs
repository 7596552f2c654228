//! Challenge keys that are made more often than they can come into use.

use super::*;
use crate::store::ROTATION_LEAD_SECONDS;

#[tokio::test]
async fn no_more_than_eight_keys_wait_to_sign() {
    let (url, clock) = (RedisServer::database(), clock());
    let store = Redis::open(&shared(&url), clock.clone()).await.expect("opened");
    let first = store.challenge_signers(Algorithm::Es256).await.expect("keys");
    let first = first.current(clock.timestamp()).public().clone();
    for _ in 0..7 {
        store.rotate_challenge_key(Algorithm::Es256).await.expect("made");
    }
    let error = store.rotate_challenge_key(Algorithm::Es256).await.expect_err("too many").to_string();
    assert!(error.contains("8 challenge keys were made in the last 120 s"), "{error}");
    let signers = store.challenge_signers(Algorithm::Es256).await.expect("keys");
    assert_eq!((signers.public().keys().len(), signers.current(clock.timestamp()).public()), (8, &first));
    // Once they sign there may be more. A key goes when the next one has signed for a quarter of an hour.
    for (rotations, oldest) in [(8, 1), (1, 8), (1, 9), (2, 11)] {
        for _ in 0..rotations {
            clock.advance(Duration::from_secs(ROTATION_LEAD_SECONDS));
            store.rotate_challenge_key(Algorithm::Es256).await.expect("none waits any more");
        }
        let stored = store.stored_keys().await.expect("keys");
        assert_eq!(stored.last().map(|(number, _)| *number), Some(oldest), "after {rotations} more");
    }
}

#[tokio::test]
async fn the_key_that_signs_is_kept_however_many_are_made() {
    let url = RedisServer::database();
    let store = opened(&url).await;
    let now = SystemClock.timestamp();
    let signing = store.challenge_signers(Algorithm::Es256).await.expect("keys").current(now).public().clone();
    // Two configurations that differ, and servers that start again and again.
    for start in 0..10 {
        let algorithm = [Algorithm::Ed25519, Algorithm::Es256][start % 2];
        opened(&url).await.challenge_signers(algorithm).await.expect("keys");
    }
    let signers = store.challenge_signers(Algorithm::Es256).await.expect("keys");
    assert_eq!(signers.public().keys().len(), 11);
    assert_eq!(*signers.current(now).public(), signing);
}
