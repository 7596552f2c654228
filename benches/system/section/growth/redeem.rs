//! Tokens redeemed a second: all that verification does, with the mark in memory, beside marks that are there already; on one
//! core and on two, and beside the bare signatures.

use std::sync::Arc;

use anyhow::Context as _;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::crypto::{self, PublicKey, Secret, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::id::{ChallengeId, DeviceIssuer, EnrolmentTicket, Incarnation, TokenId};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::statement::{self, Audience, Challenge, Login, UserVerification};
use loopkey::protocol::time::Timestamp;
use loopkey::store::{DeviceRecord, DisplayName, Profile, SharedStore, StoreUrl, TicketHash};
use loopkey::verify::{ChallengeKeys, Expectations, Presented};

use super::super::{Bench, progress};
use crate::issuer::ALGORITHM;
use crate::machine;
use crate::report::{Curve, Plot, Rounds};

/// Marks in the store.
const MARKS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Option<Plot>> {
    let names = ["redeemed, 1 core", "redeemed, 2 cores", "bare signatures, 1 core", "bare signatures, 2 cores"];
    let mut curves = names.map(|name| Curve { name: name.to_owned(), points: Vec::new() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let site = Arc::new(runtime.block_on(Site::new())?);
    let (inc, now) = (runtime.block_on(site.store.incarnation())?, SystemClock.timestamp());
    let mut held = 0;
    for marks in MARKS {
        progress(&format!("growth: tokens redeemed beside {marks} marks"));
        runtime.block_on(async {
            for _ in held..marks {
                let jti = ChallengeId::from_bytes(crypto::random());
                drop(site.store.mark(&jti, &inc, now.plus(480)).await?);
            }
            anyhow::Ok(())
        })?;
        held = marks;
        let mut figures = names.map(|_| Rounds::default());
        for _ in 0..bench.args.few(1, 3) {
            for (at, figures) in figures.iter_mut().enumerate() {
                let tokens = bench.args.few(1000, 3000);
                let posted = (0..tokens).map(|_| site.sign(&inc, now)).collect::<Result<Vec<_>, _>>()?;
                figures.add(rate(&site, &posted, at % 2 + 1, at < 2, now)?);
            }
        }
        for (curve, figures) in curves.iter_mut().zip(&figures) {
            curve.points.push((marks as f64, figures.median()));
        }
    }
    Ok(Some(Plot {
        file: "redeem",
        title: "Tokens redeemed a second, in memory, beside N single-use marks",
        x: "marks in the store",
        y: "tokens a second",
        unit: "/s",
        curves: curves.into(),
    }))
}

/// Tokens a second on so many cores, a thread each.
fn rate(site: &Site, posted: &[Posted], cores: usize, whole: bool, now: Timestamp) -> anyhow::Result<f64> {
    let started = machine::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = posted
            .chunks(posted.len().div_ceil(cores))
            .enumerate()
            .map(|(core, posted)| {
                scope.spawn(move || {
                    machine::pin(&[core])?;
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    for posted in posted {
                        if whole {
                            runtime.block_on(site.redeem(posted, now))?;
                        } else {
                            site.verify_bare(posted)?;
                        }
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    Ok(posted.len() as f64 / started.elapsed().as_secs_f64())
}

/// A login server without its HTTP.
struct Site {
    store: SharedStore,
    issuer: Issuer,
    origin: Origin,
    challenge_key: SoftwareKey,
    challenge_keys: ChallengeKeys,
    cookie: [u8; 32],
    device: DeviceRecord,
    device_key: SoftwareKey,
}

/// What a page posts.
struct Posted {
    challenge: String,
    token: String,
}

impl Site {
    async fn new() -> anyhow::Result<Self> {
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await?;
        let (challenge_key, _) = SoftwareKey::generate(ALGORITHM)?;
        let (device_key, _) = SoftwareKey::generate(ALGORITHM)?;
        let name = DisplayName::clean("Ada").context("a name")?;
        let ticket = TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random()));
        let profile = Profile { account: "ada".parse().ok().context("an account")?, name: name.clone(), avatar: None };
        store.issue_ticket(ticket, profile).await?.context("a ticket")?;
        store.enrol(ticket, device_key.public().clone(), name).await?.ok().context("enrolled")?;
        let device = store.device(device_key.public().id()).await?.context("the device")?;
        Ok(Self {
            challenge_keys: ChallengeKeys::new([challenge_key.public().clone()]),
            store,
            issuer: "https://app.example.com/loopkey".parse()?,
            origin: "https://app.example.com".parse()?,
            challenge_key,
            cookie: crypto::random(),
            device,
            device_key,
        })
    }

    fn sign(&self, inc: &Incarnation, now: Timestamp) -> anyhow::Result<Posted> {
        let challenge = Challenge {
            iss: self.issuer.clone(),
            aud: Audience::Agent,
            org: self.origin.clone(),
            jti: ChallengeId::from_bytes(crypto::random()),
            sid: statement::sid(&self.cookie),
            iat: now,
            exp: now.plus(120),
            rdm: self.issuer.login_url(),
            inc: inc.clone(),
        };
        let login = Login {
            iss: DeviceIssuer(self.device.id.clone()),
            aud: challenge.rdm.clone(),
            sub: self.device.account.subject.clone(),
            org: self.origin.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            jti: TokenId::from_bytes(crypto::random()),
            epo: self.device.epoch,
            uv: UserVerification::Prompt,
            iat: now,
            exp: now.plus(300),
        };
        Ok(Posted {
            challenge: statement::sign(&challenge, &self.challenge_key)?,
            token: statement::sign(&login, &self.device_key)?,
        })
    }

    /// All that `POST /v1/login` does between the request's body and the session.
    async fn redeem(&self, posted: &Posted, now: Timestamp) -> anyhow::Result<()> {
        let presented = Presented::<Login>::parse(&posted.challenge, &posted.token)?;
        let device = self.store.device(presented.key_id()).await?;
        let cookie = Secret::new(self.cookie);
        let expected = Expectations {
            issuer: &self.issuer,
            challenge_keys: &self.challenge_keys,
            origin: &self.origin,
            cookie: Some(&cookie),
            now,
        };
        let known = device.as_ref().map(DeviceRecord::for_verification);
        let redeemable = presented.verify(known.as_ref(), &expected, &self.device.account.subject)?;
        let (jti, inc, until) = (redeemable.mark(), redeemable.incarnation(), redeemable.until());
        let first = self.store.mark(jti, inc, until).await?;
        redeemable.redeem(first)?;
        Ok(())
    }

    /// The two signatures, and nothing else.
    fn verify_bare(&self, posted: &Posted) -> anyhow::Result<()> {
        let with = |compact: &str, key: &PublicKey| {
            let (input, signature) = compact.rsplit_once('.').context("three parts")?;
            let signature = base64url::decode(signature).ok().context("base64url")?;
            anyhow::Ok(key.verify(input.as_bytes(), &signature)?)
        };
        with(&posted.challenge, self.challenge_key.public())?;
        with(&posted.token, self.device_key.public())
    }
}
