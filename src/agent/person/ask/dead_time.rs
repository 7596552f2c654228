//! The first half second of a prompt counts for nothing (protocol section 4.3): whoever is typing or clicking just then
//! meant something else.

use std::fmt::Debug;
use std::time::Duration;

pub(super) use crate::protocol::limits::PROMPT_DEAD_TIME as DEAD_TIME;

/// How often a prompt is put back that was answered too early. Whoever it vanishes for so often cannot be asked.
const SHOWN_AT_MOST: usize = 3;

/// Shows a prompt with `show` until an answer comes later than `dead_time`. The answer's default, which
/// is that nobody can be asked, where that does not
/// happen in three times, which is also what a program looks like that cannot show anything.
pub(super) async fn after<A, F>(dead_time: Duration, show: impl Fn() -> F) -> A
where
    A: Default + PartialEq + Debug,
    F: Future<Output = A>,
{
    for _ in 0..SHOWN_AT_MOST {
        let shown = show();
        tokio::pin!(shown);
        match tokio::time::timeout(dead_time, &mut shown).await {
            Ok(none) if none == A::default() => break,
            Ok(early) => {
                tracing::debug!(?early, "a prompt was answered before anybody could have read it; asking again");
            }
            Err(_) => return shown.await,
        }
    }
    A::default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::agent::person::consent::Answer;

    /// A prompt that is answered after each of these times in turn.
    async fn asked(times: &[Duration]) -> (Answer, usize) {
        let shown = Cell::new(0);
        let show = || {
            let time = times[shown.replace(shown.get() + 1)];
            async move {
                sleep(time).await;
                Answer::Allow { remember: true }
            }
        };
        (after(DEAD_TIME, show).await, shown.get())
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_the_first_half_second_counts_for_nothing() {
        let millis = Duration::from_millis;
        let yes = Answer::Allow { remember: true };
        assert_eq!(asked(&[millis(501)]).await, (yes, 1));
        assert_eq!(asked(&[millis(499), millis(501)]).await, (yes, 2));
        assert_eq!(asked(&[millis(0), millis(499), millis(60_000)]).await, (yes, 3));
        let started = Instant::now();
        assert_eq!(asked(&[millis(10); 3]).await, (Answer::Unavailable, 3), "no more than three times");
        assert_eq!(started.elapsed(), millis(30));
    }
}
