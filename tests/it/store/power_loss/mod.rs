//! The power goes: no session, no revocation and no line of the audit record that was answered for may be gone.
//!
//! A kill cannot show a missing flush: the system has the writes. So a real login server runs with a shim that writes down
//! what it does to its store's folder and what it has answered; of that, images of the disk are made as they may be when
//! the power goes at some point, and each is opened again. Files that were not synced, and names whose folder was not,
//! count as not written; whatever chance likes of them may be there.

mod dice;
mod disk;
mod log;
mod verdict;
mod victim;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use dice::Dice;
use disk::{Deaf, Disk, Image, Loss, put};
use log::Record;
use verdict::{Answers, LOST};
use victim::{History, SAYS};

const LOSSES: [Loss; 5] = [Loss::Dropped, Loss::Kept, Loss::Cut, Loss::Torn(512), Loss::Torn(4096)];
/// People in the history: enough for the write-ahead log to be written back and begun anew.
const PEOPLE: usize = 96;

/// A folder in memory where there is one: what is real about the disk is in the log, and waiting for it shows nothing.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Builds the shim, in a folder that goes with it.
fn shim() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let shim = folder.path().join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/power_loss/shim.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).args([source, "-lpthread"]);
    let output = compiler
        .output()
        .unwrap_or_else(|error| panic!("cc does not start ({error}); install it: apt-get install build-essential"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (folder, shim)
}

/// The history that all these tests look at.
fn history() -> &'static History {
    static HISTORY: OnceLock<History> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let (_built, shim) = shim();
        let folder = folder();
        victim::record(&shim, folder.path(), 0..PEOPLE)
    })
}

fn is_answer(record: &Record) -> bool {
    matches!(record, Record::Said(said) if said.starts_with(SAYS))
}

/// How much of the history has happened when the power goes: every other time an answer was just given.
fn moment(records: &[Record], dice: &mut Dice) -> usize {
    let answers: Vec<_> = (0..records.len()).filter(|place| is_answer(&records[*place])).collect();
    if dice.flip() { dice.pick(&answers).expect("answers were given") + 1 } else { dice.below(records.len() + 1) }
}

/// What is left after the power went at that moment.
fn remains(history: &History, moment: usize, loss: Loss, deaf: Deaf, dice: &mut Dice) -> Image {
    Disk::replay(&history.before, &history.records[..moment], deaf).crash(loss, dice)
}

async fn verdict(image: &Image, answers: &Answers) -> Result<(), String> {
    let folder = folder();
    put(image, folder.path());
    let (path, answers) = (folder.path().to_owned(), answers.clone());
    // A server that does not start panics.
    tokio::spawn(async move { answers.verdict(&path).await }).await.unwrap_or_else(|panic| Err(panic.to_string()))
}

/// That many images for each kind of loss; what is wrong with any of them.
async fn cut_off(images: u64) {
    let history = history();
    for (seed, loss) in (0..images).flat_map(|seed| LOSSES.map(|loss| (seed, loss))) {
        let dice = &mut Dice(seed);
        let moment = moment(&history.records, dice);
        let image = remains(history, moment, loss, Deaf::ToNothing, dice);
        let verdict = verdict(&image, &Answers::among(&history.records[..moment])).await;
        assert_eq!(verdict, Ok(()), "{loss:?}, seed {seed}, after {moment} of {} records", history.records.len());
    }
}

/// As [`cut_off`], and the power goes again while the store is repaired and taken into use.
async fn cut_off_twice(images: u64, each: u64) {
    let (history, (_built, shim)) = (history(), shim());
    for (seed, loss) in (0..images).flat_map(|seed| LOSSES.map(|loss| (seed, loss))) {
        let dice = &mut Dice(seed ^ 0xdead);
        let first = moment(&history.records, dice);
        let folder = folder();
        put(&remains(history, first, loss, Deaf::ToNothing, dice), folder.path());
        let second = victim::record(&shim, folder.path(), 1000..1004);
        for (again, loss) in (0..each).flat_map(|again| LOSSES.map(|loss| (again, loss))) {
            let dice = &mut Dice(again ^ 0xbeef);
            let moment = moment(&second.records, dice);
            let mut answers = Answers::among(&history.records[..first]);
            answers.add(&second.records[..moment]);
            let image = remains(&second, moment, loss, Deaf::ToNothing, dice);
            let verdict = verdict(&image, &answers).await;
            assert_eq!(verdict, Ok(()), "seed {seed}, then {loss:?}, seed {again}, after {moment} records");
        }
    }
}

/// What the shim misses, no image would have.
#[test]
fn the_shim_sees_everything() {
    let history = history();
    let end = history.records.len();
    let seen = remains(history, end, Loss::Kept, Deaf::ToNothing, &mut Dice(0));
    let differing: Vec<_> =
        seen.keys().chain(history.after.keys()).filter(|name| seen.get(*name) != history.after.get(*name)).collect();
    assert_eq!(differing, Vec::<&String>::new());
    assert!(seen.contains_key("loopkey.sqlite3"), "{:?}", seen.keys());
    assert_eq!(Answers::among(&history.records).people(), PEOPLE);
    // The write-ahead log was written back and begun anew, so that there are moments in the midst of that.
    let (mut log, mut begun) = (None, 0);
    for record in &history.records {
        match record {
            Record::Created { file, name } if name == "loopkey.sqlite3-wal" => log = Some(*file),
            Record::Wrote { file, offset: 0, .. } if log == Some(*file) => begun += 1,
            _ => {}
        }
    }
    assert!(begun >= 2, "the log was begun {begun} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_broken_by_a_power_loss() {
    cut_off(8).await;
}

/// Before the first answer nothing can be lost; but the store must open.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_may_be_cut_off_anywhere() {
    let records = &history().records;
    let first = (0..records.len()).find(|place| is_answer(&records[*place])).expect("an answer");
    let is_write = |place: usize| matches!(records[place], Record::Wrote { .. });
    // In the midst of a row of writes, what is lost decides, not where it is cut.
    for moment in (1..first).filter(|place| !is_write(*place) || !is_write(place - 1)) {
        for loss in LOSSES {
            let image = remains(history(), moment, loss, Deaf::ToNothing, &mut Dice(7));
            assert_eq!(verdict(&image, &Answers::default()).await, Ok(()), "{loss:?} after {moment} records");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_broken_by_a_second_power_loss_during_repair() {
    cut_off_twice(1, 1).await;
}

/// The control: these tests would see it if the store did not wait for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_wait_for_the_disk_is_found_out() {
    let (history, mut found) = (history(), 0);
    for seed in 0..20 {
        let dice = &mut Dice(seed);
        let moment = moment(&history.records, dice);
        let image = remains(history, moment, Loss::Dropped, Deaf::ToTheLog, dice);
        let verdict = verdict(&image, &Answers::among(&history.records[..moment])).await;
        found += u32::from(verdict.is_err_and(|reason| reason.starts_with(LOST)));
    }
    assert!(found >= 10, "only {found} of 20 images had lost something");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; ./test --long runs it"]
async fn long_no_answer_is_broken_by_hundreds_of_power_losses() {
    cut_off(120).await;
    cut_off_twice(8, 6).await;
}
