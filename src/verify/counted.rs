//! What verification costs in instructions: see `crate::counted`.

use std::sync::Arc;

use super::mark::Marks;
use super::testing::{Case, NOW};
use crate::clock::ManualClock;
use crate::counted::{OPERATIONS, counted};
use crate::crypto::{self, Algorithm};
use crate::protocol::id::ChallengeId;
use crate::protocol::time::UnixMillis;

#[test]
fn redeem() {
    let mut case = Case::new(Algorithm::Ed25519);
    let marks = Marks::new(Arc::new(ManualClock::at(UnixMillis(NOW * 1000))));
    case.challenge.inc = marks.incarnation();
    let statements: Vec<_> = (0..OPERATIONS)
        .map(|_| {
            case.challenge.jti = ChallengeId::from_bytes(crypto::random());
            case.login.nonce = case.challenge.jti;
            case.sign()
        })
        .collect();
    counted(|| {
        for (challenge, token, _) in &statements {
            let redeemable = case.redeem(challenge, token).expect("everything is right");
            let marked = marks.mark(redeemable.mark(), redeemable.incarnation(), redeemable.until());
            redeemable.redeem(marked.expect("a first use")).expect("redeemed");
        }
    });
}

#[test]
fn prove() {
    let case = Case::new(Algorithm::Ed25519);
    let (challenge, _, proof) = case.sign();
    counted(|| {
        for _ in 0..OPERATIONS {
            case.prove(&challenge, &proof).expect("everything is right");
        }
    });
}
