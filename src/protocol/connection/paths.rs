//! Where single paths through the machine end; the walk beside this file takes all of them.

use super::walk::{Step, World, replay};
use super::{Input, Output};
use crate::protocol::code::{CloseCode, RefusalCode};
use crate::protocol::grant::OpenProof;
use crate::protocol::message::AgentMessage;
use crate::protocol::state::PresenceState;

fn outputs_of(path: &[Step]) -> (World, Vec<Output>) {
    let (last, before) = path.split_last().expect("a path");
    let mut world = replay(OpenProof::Challenge, before);
    assert!(world.step(*last));
    let outputs = world.machine.take_outputs();
    (world, outputs)
}

#[test]
fn what_is_out_of_order_closes_with_4400_and_what_is_not_accepted_with_4401() {
    use Step::*;
    for (path, code) in [
        (&[Prove][..], CloseCode::Unexpected),
        (&[LoginCurrent], CloseCode::Unexpected),
        (&[Pong], CloseCode::Unexpected),
        (&[Garbage], CloseCode::Unexpected),
        (&[OpenWrongNonce], CloseCode::Unexpected),
        (&[OpenMixed], CloseCode::Unexpected),
        (&[OpenBare], CloseCode::NotAccepted),
        (&[OpenChallenge, OpenChallenge], CloseCode::Unexpected),
        (&[OpenChallenge, Answer(false)], CloseCode::NotAccepted),
        (&[OpenTicket, Answer(false)], CloseCode::NotAccepted),
        (&[OpenTicket, Answer(true), OpenTicket], CloseCode::Unexpected),
        (&[OpenTicket, Answer(true), Prove, Answer(false)], CloseCode::NotAccepted),
        (&[OpenTicket, Answer(true), LoginCurrent, Answer(false)], CloseCode::NotAccepted),
        (&[IssuerAway, OpenChallenge, Answer(false)], CloseCode::TryLater),
        (&[Binary], CloseCode::Unsupported),
        (&[ToDeadline], CloseCode::TimedOut),
        (&[OpenChallenge, ToDeadline], CloseCode::TimedOut),
        (&[OpenTicket, Answer(true), Withdrawn], CloseCode::Withdrawn),
        (&[OpenTicket, Answer(true), Stopping], CloseCode::GoingAway),
        (&[OpenTicket, Answer(true), ToDeadline, ToDeadline, ToDeadline], CloseCode::TimedOut),
    ] {
        assert_eq!(outputs_of(path).1.last(), Some(&Output::Close(code)), "{path:?}");
    }
}

#[test]
fn a_login_is_refused_for_the_reason_there_is() {
    use PresenceState::{Locked, SignedIn, SignedOut};
    use Step::*;
    let asked = [OpenTicket, Answer(true), LoginCurrent, Answer(true), PromptOpened];
    for (more, code) in [
        (&[LoginCurrent][..], RefusalCode::Busy),
        (&[Cancel], RefusalCode::Cancelled),
        (&[Answer(false)], RefusalCode::Denied),
        (&[Publish(SignedIn, true)], RefusalCode::Switched),
        (&[Publish(SignedOut, true)], RefusalCode::Switched),
        (&[Publish(Locked, false)], RefusalCode::Locked),
        (&[Answer(true), Answer(false)], RefusalCode::Unavailable),
        (&[Answer(true), Publish(Locked, false)], RefusalCode::Locked),
        (&[Answer(true), Cancel], RefusalCode::Cancelled),
    ] {
        let (_, outputs) = outputs_of(&[&asked[..], more].concat());
        let refused = Output::Send(AgentMessage::Refused { id: 6, code });
        assert!(outputs.contains(&refused), "{more:?}: {outputs:?}");
    }
    for (path, code) in [
        (&[OpenTicket, Answer(true), LoginOldEpoch][..], RefusalCode::Switched),
        (&[OpenTicket, Answer(true), IssuerAway, LoginCurrent, Answer(false)], RefusalCode::Unavailable),
        (&[OpenTicket, Answer(true), Publish(SignedOut, true), LoginCurrent], RefusalCode::SignedOut),
        (&[OpenTicket, Answer(true), Publish(Locked, false), LoginCurrent], RefusalCode::Locked),
        (&[OpenTicket, Answer(true), ToDeadline, ToDeadline, LoginCurrent], RefusalCode::Unavailable),
    ] {
        let refused = Output::Send(AgentMessage::Refused { id: 6, code });
        assert_eq!(outputs_of(path).1.last(), Some(&refused), "{path:?}");
    }
}

#[test]
fn a_second_token_without_a_second_prompt_only_for_the_stores_next_life() {
    use Step::*;
    let first = [OpenTicket, Answer(true), LoginCurrent, Answer(true), Answer(true), Answer(true)];
    let again = |answer| outputs_of(&[&first[..], &[LoginCurrent, answer]].concat()).1;
    assert!(matches!(again(AnswerNewest)[..], [Output::SignToken(..)]), "another life: no prompt");
    assert!(matches!(again(Answer(true))[..], [Output::AskConsent(..)]), "the same life: a prompt");
    let late = outputs_of(
        &[&first[..], &[ToDeadline, Pong, ToDeadline, Pong, ToDeadline, Pong, LoginCurrent, AnswerNewest]].concat(),
    );
    assert!(matches!(late.1[..], [Output::AskConsent(..)]), "after a minute: a prompt");
}

#[test]
fn floods_close_with_4429() {
    let inputs: [(fn() -> Input<'static>, _); 2] =
        // `open` was a message too.
        [(|| Input::Control, 60), (|| Input::Text(r#"{"type":"pong"}"#), 59)];
    for (input, allowed) in inputs {
        let mut world = replay(OpenProof::Challenge, &[Step::OpenTicket, Step::Answer(true)]);
        let mut take = |input| {
            world.machine.handle(input, world.now);
            world.machine.take_outputs()
        };
        for _ in 0..allowed {
            assert_eq!(take(input()), []);
        }
        assert_eq!(take(input()), [Output::Close(CloseCode::OverLimit)]);
        assert_eq!(take(Input::Binary), [], "nothing is said after the close");
    }
}
