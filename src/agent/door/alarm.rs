//! What keeps the runtime from being interrupted for the timers of each new connection.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long a new connection keeps the next ones from interrupting the runtime. When it is over the agent wakes up once, for
/// nothing, which it does while it has hardly fallen asleep.
const ALARM: Duration = Duration::from_millis(50);

/// The runtime interrupts its own wait for each timer that is to go off before all others, by a system call and an empty turn. While
/// this one is set no new connection's is such a timer, since all of those are longer. It wakes no task.
#[derive(Default)]
pub(in crate::agent) struct FirstAlarm(Option<Pin<Box<Sleep>>>);

impl FirstAlarm {
    pub(in crate::agent) fn set(&mut self) {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(ALARM)));
        let mut nobody = Context::from_waker(Waker::noop());
        if sleep.as_mut().poll(&mut nobody).is_ready() {
            sleep.as_mut().reset(Instant::now() + ALARM);
            let _ = sleep.as_mut().poll(&mut nobody);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_alarm_stays_for_all_who_come_before_it() {
        let mut alarm = FirstAlarm::default();
        let deadline = |alarm: &FirstAlarm| alarm.0.as_ref().expect("set").deadline();
        alarm.set();
        let first = deadline(&alarm);
        assert_eq!(first, Instant::now() + ALARM);
        tokio::time::advance(ALARM / 2).await;
        alarm.set();
        assert_eq!(deadline(&alarm), first);
        tokio::time::advance(ALARM).await;
        alarm.set();
        assert_eq!(deadline(&alarm), Instant::now() + ALARM);
    }
}
