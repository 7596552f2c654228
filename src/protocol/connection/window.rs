//! What is asked in the window of a bridge, and which answers count (protocol section 8).
//!
//! An answer counts once, for a prompt that is open there, and not before the person can have read it. The window keeps that
//! dead time by itself and begins it anew when it comes into view; an answer that is earlier still comes from no such window.

use super::Call;
use crate::protocol::limits::PROMPT_DEAD_TIME;
use crate::protocol::time::Moment;

/// The window of one bridge.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// The number of the last prompt.
    last: u64,
    open: Option<Shown>,
}

#[derive(Debug, Clone, Copy)]
struct Shown {
    call: Call,
    at: Moment,
}

/// What an answer is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the person's answer to this call.
    Counts(Call),
    /// Nobody waits for it any more: it crossed the news of that.
    Late,
    /// No window of ours says that.
    Unexpected,
}

impl Window {
    /// A prompt goes out now; the result is its number.
    pub(super) fn show(&mut self, call: Call, now: Moment) -> u64 {
        self.last += 1;
        self.open = Some(Shown { call, at: now });
        self.last
    }

    /// Nobody waits for an answer any more; the number of the prompt that was open.
    pub(super) fn clear(&mut self) -> Option<u64> {
        self.open.take().map(|_| self.last)
    }

    /// Takes an answer.
    pub(super) fn answer(&mut self, id: u64, now: Moment) -> Verdict {
        match self.open {
            Some(Shown { at, .. }) if id == self.last && now.since(at) < PROMPT_DEAD_TIME => Verdict::Unexpected,
            Some(Shown { call, .. }) if id == self.last => {
                self.open = None;
                Verdict::Counts(call)
            }
            _ if (1..=self.last).contains(&id) => Verdict::Late,
            _ => Verdict::Unexpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Moment = Moment(Duration::from_secs(1000));

    #[test]
    fn an_answer_counts_once_for_an_open_prompt_and_not_before_it_can_have_been_read() {
        let mut window = Window::default();
        assert_eq!(window.answer(0, NOW), Verdict::Unexpected, "nothing was asked");
        assert_eq!(window.answer(1, NOW), Verdict::Unexpected);
        assert_eq!((window.show(Call(7), NOW), window.clear(), window.clear()), (1, Some(1), None));
        assert_eq!(window.answer(1, NOW), Verdict::Late, "it was taken back");
        assert_eq!(window.show(Call(8), NOW), 2);
        let read = NOW + PROMPT_DEAD_TIME;
        assert_eq!(window.answer(3, read), Verdict::Unexpected, "not asked yet");
        assert_eq!(window.answer(1, read), Verdict::Late, "of the one before");
        assert_eq!(window.answer(2, read), Verdict::Counts(Call(8)));
        assert_eq!(window.answer(2, read), Verdict::Late, "answered");
        assert_eq!(window.clear(), None);
        assert_eq!(window.show(Call(9), NOW), 3);
        assert_eq!(window.answer(3, NOW + Duration::from_millis(499)), Verdict::Unexpected, "too early");
    }
}
