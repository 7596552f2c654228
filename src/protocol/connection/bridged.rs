//! A page behind a bridge: what the window may say beside it. The walk sees every state; here stands what is said in it.

use super::Output;
use super::walk::{Step, World, replay_in};
use crate::protocol::code::CloseCode;
use crate::protocol::grant::OpenProof;
use crate::protocol::state::PresenceState;

#[test]
fn an_answer_counts_only_from_the_window_in_which_a_prompt_is_shown() {
    use Step::*;
    let asked = [OpenTicket, Answer(true), LoginCurrent, Answer(true)];
    let shown = [&asked[..], &[AskInWindow]].concat();
    let last = |bridged, path: &[Step], step| {
        let mut world = replay_in(World::new(OpenProof::Challenge, bridged), path);
        assert!(world.step(step), "{step:?}");
        world.machine.take_outputs()
    };
    let closed = Output::Close(CloseCode::Unexpected);
    assert!(matches!(last(true, &shown, AnswerInWindow)[..], [Output::AnsweredInWindow(..)]));
    assert_eq!(last(true, &[&shown[..], &[AnswerInWindow]].concat(), AnswerInside).last(), Some(&closed));
    for (path, step) in [
        (&shown[..], AnswerTooEarly),
        (&shown, AnswerUnasked),
        (&shown, AnswerInside),
        (&shown, BridgeAgain),
        (&asked, AnswerUnasked),
        (&[OpenTicket, Answer(true)], AnswerUnasked),
        (&[], AnswerUnasked),
        (&[], BridgeAgain),
    ] {
        assert_eq!(last(true, path, step).last(), Some(&closed), "{step:?}");
        assert_eq!(last(false, &path[..path.len().min(4)], AnswerUnasked).last(), Some(&closed), "a page is no window");
    }
    // Where nobody waits any more, the window hears of it.
    for step in [Cancel, Publish(PresenceState::Locked, false), Answer(false)] {
        assert!(last(true, &shown, step).contains(&Output::HideInWindow(1)), "{step:?}");
    }
    assert_eq!(last(false, &asked, AskInWindow), [], "without a bridge there is no window");
}
