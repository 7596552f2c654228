//! Hostile challenges: whatever is wrong with one, and wherever it is shown, the socket closes with 4401, nobody is asked
//! and nothing is told.

use loopkey::agent::{Answer, IssuerSettings, OriginSettings};
use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::grant::{ConsentMode, Grant, OpenProof};
use serde_json::{Value, json};

use super::stage::{Socket, Stage, TestIssuer, compact, header, with, without};

/// Another origin of the same issuer.
const SECOND: &str = "https://second.example";

/// Lets pages of [`SECOND`] open sockets too.
fn add_second(settings: &mut loopkey::agent::AgentSettings) {
    let second = OriginSettings { origin: SECOND.parse().expect("an origin"), ..settings.origins[0].clone() };
    settings.origins.push(second);
}

/// Shows a challenge wherever a page can show one.
async fn refuses_from(stage: &Stage, origin: &str, challenge: &str) {
    let mut opening = stage.greeted_from(origin).await;
    opening.open(json!({ "challenge": challenge })).await;
    assert_eq!(opening.closed().await, Some(4401), "in open: {challenge}");
    for message in [
        json!({ "type": "prove", "id": 1, "challenge": challenge }),
        json!({ "type": "login", "id": 1, "epoch": 0, "challenge": challenge }),
    ] {
        let mut live = stage.greeted_from(origin).await;
        live.open(json!({ "challenge": stage.issuer.sign(&stage.issuer.claims_for(origin)) })).await;
        live.next_of("ready").await;
        live.say(&message).await;
        assert_eq!(live.closed().await, Some(4401), "{message}");
    }
    assert_eq!(stage.prompts(), 0, "nobody is asked");
}

async fn refuses(stage: &Stage, challenge: &str) {
    refuses_from(stage, stage.issuer.url.origin().as_str(), challenge).await;
}

/// Changes one claim of a sound challenge to each of the values; `None` leaves the claim out.
async fn refuses_each(claim: &str, values: impl IntoIterator<Item = Option<Value>>) {
    let stage = Stage::new().await;
    for value in values {
        let claims = match value {
            Some(value) => with(stage.issuer.claims(), claim, value),
            None => without(stage.issuer.claims(), claim),
        };
        refuses(&stage, &stage.issuer.sign(&claims)).await;
    }
    stage.unharmed().await;
}

/// That the claims are the only thing between this challenge and an open socket.
async fn accepts(stage: &Stage, claims: &Value) -> Value {
    let mut socket = stage.greeted().await;
    socket.open(json!({ "challenge": stage.issuer.sign(claims) })).await;
    socket.next_of("ready").await
}

#[tokio::test]
async fn i093_a_signature_that_is_missing_garbled_or_of_somebody_else() {
    let clock = std::sync::Arc::new(loopkey::clock::ManualClock::at(loopkey::protocol::time::UnixMillis(0)));
    let other = TestIssuer::start(&clock).await;
    let stage = Stage::with(|settings| {
        settings.issuers.push(IssuerSettings { url: other.url.clone(), ca_file: None });
        settings.origins.push(OriginSettings {
            origin: other.url.origin(),
            issuer: other.url.clone(),
            ..settings.origins[0].clone()
        });
    })
    .await;
    let sound = stage.issuer.challenge();
    let (unsigned, signature) = sound.rsplit_once('.').expect("parts");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let own = SoftwareKey::generate(Algorithm::Es256).expect("a key").0;
    let of_issuer = header("loopkey-challenge+jwt", &stage.issuer.key);
    for hostile in [
        unsigned.to_owned(),
        format!("{unsigned}."),
        format!("{unsigned}.{}", &signature[..40]),
        format!("{unsigned}.{flipped}{}", &signature[1..]),
        format!("{unsigned}.{signature}A"),
        format!("{unsigned}.{}", base64url::encode([0; 64])),
        "a.b.c".to_owned(),
        String::new(),
        compact(&with(of_issuer.clone(), "alg", json!("none")), &stage.issuer.claims(), &stage.issuer.key),
        compact(&with(of_issuer.clone(), "alg", json!("Ed25519")), &stage.issuer.claims(), &stage.issuer.key),
        // A key of the attacker's: under the issuer's name, and under its own.
        compact(&of_issuer, &stage.issuer.claims(), &own),
        compact(&header("loopkey-challenge+jwt", &own), &stage.issuer.claims(), &own),
        // Embedded, as a reader that believes headers would like it.
        compact(
            &with(header("loopkey-challenge+jwt", &own), "jwk", json!(own.public().to_jwk())),
            &stage.issuer.claims(),
            &own,
        ),
        // The agent knows the other issuer and its key, and it may not speak for this one.
        other.sign(&stage.issuer.claims()),
        other.sign(&other.claims_for(stage.issuer.url.origin().as_str())),
    ] {
        refuses(&stage, &hostile).await;
    }
    refuses_from_other(&stage, &other).await;
    stage.unharmed().await;
}

/// The same the other way round: the first issuer's word is worth nothing on the second one's origin.
async fn refuses_from_other(stage: &Stage, other: &TestIssuer) {
    let origin = other.url.origin();
    for hostile in [stage.issuer.sign(&stage.issuer.claims_for(origin.as_str())), stage.issuer.sign(&other.claims())] {
        let mut socket = stage.greeted_from(origin.as_str()).await;
        socket.open(json!({ "challenge": hostile })).await;
        assert_eq!(socket.closed().await, Some(4401));
    }
    let mut honest = stage.greeted_from(origin.as_str()).await;
    honest.open(json!({ "challenge": other.challenge() })).await;
    honest.next_of("ready").await;
}

#[tokio::test]
async fn i094_a_challenge_for_another_origin() {
    let stage = Stage::with(add_second).await;
    let own = stage.issuer.url.origin().to_string();
    let others = [SECOND, "https://evil.example", "null", "", "*", "http://127.0.0.1", "https://127.0.0.1"];
    for origin in others.map(str::to_owned).into_iter().chain([format!("{own}/"), own.to_uppercase(), own + "0"]) {
        refuses(&stage, &stage.issuer.sign(&stage.issuer.claims_for(&origin))).await;
    }
    stage.unharmed().await;
    refuses_each("org", [None, Some(json!(null)), Some(json!([SECOND]))]).await;
}

#[tokio::test]
async fn i095_another_statement_in_a_challenges_place() {
    let stage = Stage::new().await;
    let mut socket = stage.greeted().await;
    socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
    let proof = socket.next_of("ready").await["proof"].as_str().expect("a proof").to_owned();
    socket.login(1, 0, stage.issuer.challenge()).await;
    let token = socket.answer(1).await["token"].as_str().expect("a token").to_owned();
    stage.asker.prompts.lock().expect("unpoisoned").clear();
    for statement in [proof, token] {
        refuses(&stage, &statement).await;
    }
    // The issuer's own key under another title, and titles that are none.
    for typ in ["presence", "login", "signout", "enrolment", "link", "approval"] {
        let header = header(&format!("loopkey-{typ}+jwt"), &stage.issuer.key);
        refuses(&stage, &compact(&header, &stage.issuer.claims(), &stage.issuer.key)).await;
    }
    for typ in [json!("JWT"), json!("LOOPKEY-CHALLENGE+JWT"), json!("application/loopkey-challenge+jwt"), json!(null)] {
        let header = with(header("", &stage.issuer.key), "typ", typ);
        refuses(&stage, &compact(&header, &stage.issuer.claims(), &stage.issuer.key)).await;
    }
    stage.unharmed().await;
    let audiences = [json!("loopkey-agent "), json!("https://app.example"), json!(["loopkey-agent"]), json!(null)];
    refuses_each("aud", audiences.into_iter().map(Some).chain([None])).await;
}

#[tokio::test]
async fn i096_expired_from_the_future_or_too_long_a_life() {
    let stage = Stage::new().await;
    let now = stage.issuer.time();
    let lived = |iat: u64, exp: u64| with(with(stage.issuer.claims(), "iat", json!(iat)), "exp", json!(exp));
    for (iat, exp) in [
        (now - 121, now - 1),
        (now - 121, now),
        (now - 60, now - 1),
        (now - 86_400, now - 86_400 + 120),
        (now + 6, now + 100),
        (now + 600, now + 700),
        (now, now + 121),
        (now, now + 600),
        (now, u64::MAX),
        (now, now - 1),
        (0, 0),
    ] {
        refuses(&stage, &stage.issuer.sign(&lived(iat, exp))).await;
    }
    // One second less, and each of the bounds is kept.
    for (iat, exp) in [(now - 120, now), (now + 5, now + 100), (now, now + 120)] {
        accepts(&stage, &lived(iat, exp)).await;
    }
    for (claim, value) in [
        ("exp", json!(format!("{}", now + 60))),
        ("exp", json!(now as f64 + 60.5)),
        ("exp", json!(-1)),
        ("exp", json!(null)),
        ("iat", json!([now])),
        ("iat", json!(null)),
    ] {
        refuses(&stage, &stage.issuer.sign(&with(stage.issuer.claims(), claim, value))).await;
    }
    for claim in ["iat", "exp"] {
        refuses(&stage, &stage.issuer.sign(&without(stage.issuer.claims(), claim))).await;
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn i097_a_challenge_that_was_used() {
    let stage = Stage::new().await;
    // Wherever it was used first, it is used.
    for first in ["open", "prove", "login"] {
        let challenge = stage.issuer.challenge();
        let mut user = if first == "open" { stage.greeted().await } else { stage.live().await };
        match first {
            "open" => user.open(json!({ "challenge": challenge })).await,
            "prove" => user.say(&json!({ "type": "prove", "id": 1, "challenge": challenge })).await,
            _ => user.login(1, 0, challenge.clone()).await,
        }
        match first {
            "open" => drop(user.next_of("ready").await),
            _ => assert_eq!(user.answer(1).await["code"], json!(null), "{first}"),
        }
        stage.asker.prompts.lock().expect("unpoisoned").clear();
        refuses(&stage, &challenge).await;
        // Whoever came first is not punished for it.
        stage.serves(&mut user).await;
    }
    // All at once: one opens.
    let challenge = stage.issuer.challenge();
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = stage.greeted().await;
        socket.open(json!({ "challenge": challenge })).await;
        sockets.push(socket);
    }
    let mut opened = 0;
    for mut socket in sockets {
        match socket.next().await {
            Ok(ready) if ready["type"] == "ready" => opened += 1,
            other => assert_eq!(other, Err(Some(4401))),
        }
    }
    assert_eq!(opened, 1);
    stage.unharmed().await;
}

#[tokio::test]
async fn i098_asking_for_more_than_was_granted() {
    let stage = Stage::with(|settings| settings.origins[0].grants = [Grant::Presence].into_iter().collect()).await;
    // What the challenge asks for is not the issuer's to grant.
    let mut greedy = stage.issuer.claims();
    for member in ["ops", "grants", "scope", "lvl"] {
        greedy[member] = json!(["presence", "login", "profile", "action:open"]);
    }
    assert_eq!(accepts(&stage, &greedy).await["grants"], json!(["presence"]));
    for member in ["ops", "grants", "scopes"] {
        let mut socket = stage.greeted().await;
        socket.open(json!({ "challenge": stage.issuer.challenge(), member: ["login"] })).await;
        assert_eq!(socket.closed().await, Some(4400), "{member}");
    }
    let mut socket = stage.live().await;
    socket.login(1, 0, stage.issuer.challenge()).await;
    assert_eq!(socket.answer(1).await["code"], "not_granted");
    socket.say(&json!({ "type": "action", "id": 2, "name": "open", "params": {} })).await;
    assert_eq!(socket.answer(2).await["code"], "not_granted");
    assert_eq!(stage.prompts(), 0);
    stage.unharmed().await;
}

#[tokio::test]
async fn i099_a_redemption_address_that_is_not_the_issuers() {
    let stage = Stage::new().await;
    let (own, issuer) = (stage.issuer.url.login_url().to_string(), stage.issuer.url.to_string());
    let port = stage.issuer.url.origin().to_string().rsplit(':').next().expect("a port").to_owned();
    for rdm in [
        "https://evil.example/v1/login".to_owned(),
        format!("{own}/"),
        format!("{own}?next=https://evil.example"),
        format!("{own}#"),
        format!("{issuer}/v1/logout"),
        format!("{issuer}/V1/LOGIN"),
        format!("{issuer}//v1/login"),
        format!("http://localhost:{port}/v1/login"),
        format!("http://user@127.0.0.1:{port}/v1/login"),
        format!("http://127.0.0.1:{port}.evil.example/v1/login"),
        own.replace("http://", "https://"),
        String::new(),
    ] {
        refuses(&stage, &stage.issuer.sign(&with(stage.issuer.claims(), "rdm", json!(rdm)))).await;
    }
    stage.unharmed().await;
    refuses_each("rdm", [None, Some(json!(null)), Some(json!([own]))]).await;
    refuses_each("iss", ["https://evil.example", "", "null"].map(|iss| Some(json!(iss)))).await;
}

#[tokio::test]
async fn i100_a_sid_that_is_missing_short_or_no_sid() {
    let sound = base64url::encode([7; 32]);
    refuses_each(
        "sid",
        [
            None,
            Some(json!(null)),
            Some(json!("")),
            Some(json!(base64url::encode([7; 31]))),
            Some(json!(base64url::encode([7; 33]))),
            Some(json!(format!("{sound}="))),
            Some(json!(format!("{sound}\n"))),
            Some(json!(format!("{}/", &sound[..42]))),
            // The last character carries two bits that must be zero.
            Some(json!(format!("{}d", &sound[..42]))),
            Some(json!([sound])),
        ],
    )
    .await;
    refuses_each("jti", [None, Some(json!("A")), Some(json!(base64url::encode([7; 16])))]).await;
}

#[tokio::test]
async fn a11_whoever_forges_an_origin_without_a_challenge_learns_nothing() {
    let stage = Stage::with(|settings| {
        add_second(settings);
        settings.origins[1].proof = OpenProof::Origin;
    })
    .await;
    let own = SoftwareKey::generate(Algorithm::Es256).expect("a key").0;
    let forged = compact(&header("loopkey-challenge+jwt", &own), &stage.issuer.claims(), &own);
    for members in [
        json!({}),
        json!({ "challenge": forged }),
        json!({ "challenge": "" }),
        json!({ "resume": base64url::encode([0; 65]), "seq": 1 }),
        json!({ "resume": "", "seq": 0 }),
    ] {
        let mut socket = stage.greeted().await;
        socket.open(members.clone()).await;
        assert_eq!(socket.next().await, Err(Some(4401)), "{members}: after hello comes the end");
    }
    // An origin that may open without a challenge is told the state, and of whom it is told to nobody.
    let mut socket = stage.greeted_from(SECOND).await;
    socket.open(json!({})).await;
    let ready = socket.next_of("ready").await;
    assert_eq!((&ready["grants"], ready.get("proof")), (&json!(["presence"]), None));
    socket.login(1, 0, stage.issuer.sign(&stage.issuer.claims_for(SECOND))).await;
    assert_eq!(socket.answer(1).await["code"], "not_granted");
    let told: Vec<_> = ready["state"].as_object().expect("a state").keys().collect();
    assert_eq!(told, ["epoch", "presence", "since"]);
    // Nor does its ticket stand for a challenge.
    let mut again = stage.greeted_from(SECOND).await;
    again.open(json!({ "resume": ready["resume"], "seq": ready["seq"] })).await;
    let ready = again.next_of("ready").await;
    assert_eq!((&ready["resumed"], &ready["grants"]), (&json!(true), &json!(["presence"])));
    for secret in ["Secret Name", "subject-", "device-"] {
        assert!(!ready.to_string().contains(secret), "{ready}");
    }
    // Whoever fetched a challenge for himself gets statements without a name, and no token without the person.
    stage.answer(Some(Answer::Deny));
    let mut socket = stage.live().await;
    socket.login(1, 0, stage.issuer.challenge()).await;
    assert_eq!(socket.answer(1).await["code"], "denied");
    socket.say(&json!({ "type": "prove", "id": 2, "challenge": stage.issuer.challenge() })).await;
    let proof = socket.answer(2).await["proof"].as_str().expect("a proof").to_owned();
    let claims = claims_of(&proof);
    assert!(!claims.to_string().contains("Secret Name") && claims.get("name").is_none(), "{claims}");
    stage.unharmed().await;
}

/// A ticket is made ahead, while the page reads `hello`; what it says is what `ready` says all the same.
#[tokio::test]
async fn a_ticket_is_of_the_epoch_that_ready_tells() {
    let stage = Stage::new().await;
    for changes in [false, true] {
        let mut socket = stage.greeted().await;
        if changes {
            stage.agent.handle.sign_out(&stage.account).expect("signed out");
        }
        socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
        let ready = socket.next_of("ready").await;
        assert_eq!(ready["state"]["presence"], if changes { "signed_out" } else { "signed_in" });
        let mut again = stage.greeted().await;
        again.open(json!({ "resume": ready["resume"], "seq": ready["seq"] })).await;
        assert_eq!(again.next_of("ready").await["resumed"], true, "changes: {changes}");
    }
}

/// The claims of a statement, whoever signed it.
fn claims_of(statement: &str) -> Value {
    let payload = statement.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&base64url::decode(payload).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn a15_a_challenge_is_not_relayed_to_another_origin() {
    let stage = Stage::with(|settings| {
        add_second(settings);
        settings.origins.iter_mut().for_each(|origin| origin.consent = ConsentMode::Page);
    })
    .await;
    // A page of the second origin fetched a challenge for the first one, or the other way round.
    let own = stage.issuer.url.origin().to_string();
    for (fetched_for, shown_from) in [(own.as_str(), SECOND), (SECOND, own.as_str())] {
        let claims = stage.issuer.claims_for(fetched_for);
        let challenge = stage.issuer.sign(&claims);
        refuses_from(&stage, shown_from, &challenge).await;
        // It is not used up by that: the page that it was made for signs in with it, there and nowhere else.
        let mut socket: Socket = stage.greeted_from(fetched_for).await;
        socket.open(json!({ "challenge": stage.issuer.sign(&stage.issuer.claims_for(fetched_for)) })).await;
        socket.next_of("ready").await;
        socket.login(1, 0, challenge).await;
        let token = claims_of(socket.answer(1).await["token"].as_str().expect("a token"));
        for (of_token, of_challenge) in [("org", "org"), ("aud", "rdm"), ("sid", "sid"), ("nonce", "jti")] {
            assert_eq!(token[of_token], claims[of_challenge], "{of_token}");
        }
    }
    stage.unharmed().await;
}
