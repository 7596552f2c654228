//! What every engine must do with notes.

use super::*;

const KIND: NoteKind = NoteKind::new("suite");

fn fresh() -> NoteKey {
    NoteKey::of(KIND, &crypto::random::<32>())
}

fn value(text: &str) -> NoteValue {
    NoteValue::try_from(text.to_owned()).expect("a note")
}

pub(super) async fn notes(bench: &Bench) {
    let (store, note) = (&bench.store, fresh());
    let keep = async |text: &str, until| store.keep_note(&note, value(text), until).await.expect("store");
    let read = async || store.note(&note).await.expect("store");
    let until = bench.clock.timestamp().plus(120);
    assert_eq!(read().await, None);
    assert_eq!(store.take_note(&note).await.expect("store"), None);
    let long = "é\"\n".repeat(1000);
    assert!(keep(&long, until).await);
    assert!(!keep("another", until).await, "one is there");
    let first = read().await.expect("there");
    assert_eq!((first.value.as_str(), first.until), (long.as_str(), until));
    assert_eq!(store.note(&fresh()).await.expect("store"), None, "another secret");
    // Whoever read the newest version changes it, once.
    let change =
        async |version, text: &str, until| store.change_note(&note, version, value(text), until).await.expect("store");
    let mut hints = store.hints();
    assert!(change(first.version, "second", until.plus(60)).await);
    let told = Hint::NoteChanged { note: note.clone() };
    while hints.recv().await.expect("a hint") != told {}
    assert!(!change(first.version, "third", until).await, "that version is gone");
    let second = read().await.expect("there");
    assert_eq!((second.value.as_str(), second.until), ("second", until.plus(60)));
    assert_ne!(second.version, first.version);
    // The last good second, and the first bad one.
    bench.clock.advance(Duration::from_secs(179));
    assert_eq!(read().await, Some(second.clone()));
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(read().await, None);
    assert!(!change(second.version, "third", until.plus(600)).await);
    assert_eq!(store.take_note(&note).await.expect("store"), None);
    // Its place is free, and no old version is good for the new one.
    let until = bench.clock.timestamp().plus(120);
    assert!(keep("anew", until).await);
    bench.clock.advance(Duration::from_secs(120));
    let until = bench.clock.timestamp().plus(120);
    assert!(keep("over an old one", until).await);
    assert!(!change(second.version, "x", until).await && !change(first.version, "x", until).await);
    assert_eq!(store.take_note(&note).await.expect("store"), Some(value("over an old one")));
    assert_eq!(store.take_note(&note).await.expect("store"), None, "once");
    assert_eq!(read().await, None);
    let stale = second.version;
    assert!(!change(stale, "x", until).await, "what is gone is not made by a change");
    assert!(keep("", until).await, "and may be kept again");
    assert_eq!(read().await.expect("there").value, value(""));
    // Changed to an end that is past.
    let version = read().await.expect("there").version;
    assert!(change(version, "over", bench.clock.timestamp()).await);
    assert_eq!(read().await, None);
}

pub(super) async fn one_taker_and_one_writer(bench: &Bench) {
    let until = bench.clock.timestamp().plus(120);
    for _ in 0..10 {
        let note = fresh();
        let kept = run(bench, |store, n| {
            let note = note.clone();
            async move { store.keep_note(&note, value(&n.to_string()), until).await.expect("store") }
        });
        assert_eq!(kept.await, 1, "kept by one");
        let version = bench.store.note(&note).await.expect("store").expect("there").version;
        let changed = run(bench, |store, n| {
            let note = note.clone();
            async move { store.change_note(&note, version, value(&n.to_string()), until).await.expect("store") }
        });
        assert_eq!(changed.await, 1, "changed by one");
        let version = bench.store.note(&note).await.expect("store").expect("there").version;
        // Half of them take, half change: what was taken is not changed any more.
        let done = run(bench, |store, n| {
            let note = note.clone();
            async move {
                if n % 2 == 0 {
                    return store.take_note(&note).await.expect("store").is_some();
                }
                store.change_note(&note, version, value("x"), until).await.expect("store");
                false
            }
        });
        assert_eq!(done.await, 1, "taken by one");
        assert_eq!(bench.store.note(&note).await.expect("store"), None);
    }
}

/// How many of 32 at once say that they did it.
async fn run<F>(bench: &Bench, work: impl Fn(SharedStore, usize) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let tasks: Vec<_> = (0..32).map(|n| tokio::spawn(work(Arc::clone(&bench.store), n))).collect();
    let mut did = 0;
    for task in tasks {
        did += usize::from(task.await.expect("no panic"));
    }
    did
}
