//! What every engine must do with single-use marks.

use super::*;

pub(super) async fn marks(bench: &Bench) {
    let store = &bench.store;
    let (inc, until) = (store.incarnation().await.expect("store"), bench.clock.timestamp().plus(480));
    let jti = ChallengeId::from_bytes(crypto::random());
    assert_eq!(store.mark(&jti, &parsed("another-life"), until).await.err(), Some(MarkError::Stale));
    assert_eq!(*store.mark(&jti, &inc, until).await.expect("first").challenge(), jti);
    assert_eq!(store.mark(&jti, &inc, until).await.err(), Some(MarkError::Used));
    bench.clock.advance(Duration::from_secs(479));
    assert_eq!(store.mark(&jti, &inc, until).await.err(), Some(MarkError::Used));
    assert_eq!(store.incarnation().await.expect("store"), inc, "one life");
}

pub(super) async fn one_of_sixty_four(bench: &Bench) {
    let (inc, until) = (bench.store.incarnation().await.expect("store"), bench.clock.timestamp().plus(480));
    for _ in 0..20 {
        let jti = ChallengeId::from_bytes(crypto::random());
        let tries: Vec<_> = (0..64)
            .map(|_| {
                let (store, inc) = (Arc::clone(&bench.store), inc.clone());
                tokio::spawn(async move { store.mark(&jti, &inc, until).await.is_ok() })
            })
            .collect();
        let mut first = 0;
        for one in tries {
            first += usize::from(one.await.expect("no panic"));
        }
        assert_eq!(first, 1);
    }
}
