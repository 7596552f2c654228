//! The vendor's own samples, what is wrong with an envelope, and whatever bytes there are.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::protocol::time::Timestamp;

/// token, key, owner, timestamp, nonce, encrypt, signature, message, pad.
type Sample = [&'static str; 8];

/// What DingTalk publishes with its own libraries, and the reference's own.
const SAMPLES: [(Sample, u8); 5] = [
    (
        [
            "mryue",
            "Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7",
            "ding6ccabc44d2c8d38b",
            "1608001896814",
            "WL4PK6yA",
            "0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3",
            "03044561471240d4a14bb09372dfcfd4fd0e40cb",
            r#"{"EventType":"check_url"}"#,
        ],
        31,
    ),
    (
        [
            "tokenxxxx",
            "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus",
            "dingxxxxxx",
            "1605695694141",
            "WelUQl6bCqcBa2fM",
            "X1VSe9cTJUMZu60d3kyLYTrBq5578ZRJtteU94wG0Q4Uk6E/wQYeJRIC0/UFW5Wkya1Ihz9oXAdLlyC9TRaqsQ==",
            "f36f4ba5337d426c7d4bca0dbcb06b3ddc1388fc",
            "success",
        ],
        27,
    ),
    (
        [
            "123456",
            "1234567890123456789012345678901234567890123",
            "dingsnotzck6pm5veliw",
            "1614767836",
            "A7Co0cJLMzIDtMMI",
            "YvkvaGe4hQxd3VxRmEty0dVlnCOAqwf56xwTRHDHoOURqhalbmBJQk5FNcRk42Gl5T0YQXZNwpwWSm1xAFJ5ZA==",
            "9a95a004dd16f5c307e849b994173f76aa26e5eb",
            "success",
        ],
        17,
    ),
    (
        [
            TOKEN,
            KEY,
            OWNER,
            "1767225600000",
            "nonce12345",
            "Q3stYC6hdFzMh9T8HCvyDPAbTGLFm5iluwoG/I4nbG173fgvJA25p5EIHWa/qrbLQcf427L5EyZ0HdtI3hzsxQ==",
            "22d39dda0fffe9b3aa3f060bef0b90794c76c50a",
            "success",
        ],
        21,
    ),
    (
        [
            TOKEN,
            KEY,
            OWNER,
            "1767225600000",
            "nonce12345",
            "Q3stYC6hdFzMh9T8HCvyDOKd/8skOvPDLekkW7RC1JU0jsWKA+BwT/VfwtqHU19ucvH00yVWVXXWXQzcIM6PqAxmQuM2xTJBTmw+lO5EvDpFqYXe1QM52OeAgCF0H9AhomvEBya2Afn+DNjVQKZQkbgKXf8JSjD1XoHxYtu5qmbWymPEcOiNavaxwT58nmnGfBUIjTDkF/HHhwRxkpHRrg==",
            "dca869ec8a938ee532a5371c9e941ec5a23d9cf4",
            r#"{"EventType":"suite_ticket","SuiteKey":"suiteexample0001","SuiteTicket":"TicketExample2026","TimeStamp":1767225600000}"#,
        ],
        6,
    ),
];

const TOKEN: &str = "test";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const OWNER: &str = "suiteexample0001";

fn callback(token: &str, key: &str) -> Callback {
    Callback::new(Secret::new(token.into()), &Secret::new(key.into())).expect("a callback")
}

fn ours() -> Callback {
    callback(TOKEN, KEY)
}

/// A push that comes as an address and a body, `late` seconds after its time.
fn push(callback: &Callback, parameters: &[(&str, &str)], body: &str, late: i64) -> Result<Opened, DingTalkFault> {
    let time = parameters.iter().find(|(name, _)| *name == "timestamp").and_then(|(_, text)| millis(text));
    let now = Timestamp(time.map_or(0, |time| time.0 / 1000).saturating_add_signed(late));
    let parameters: BTreeMap<_, _> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect();
    let body = Secret::new(body.as_bytes().to_vec());
    callback.open(&Posted { parameters: &parameters, body: &body, now })
}

#[test]
fn v5_every_sample_is_read_and_made_again_byte_for_byte() {
    for ([token, key, owner, timestamp, nonce, encrypt, signature, message], pad) in SAMPLES {
        let callback = callback(token, key);
        for name in ["signature", "msg_signature"] {
            let parameters = [(name, signature), ("timestamp", timestamp), ("nonce", nonce)];
            let body = json!({ "encrypt": encrypt, "unknown": 1 }).to_string();
            let opened = push(&callback, &parameters, &body, 0).expect(message);
            assert_eq!((opened.message.expose().as_str(), opened.owner.as_str()), (message, owner));
        }
        let padded =
            cbc::decrypt(callback.key.expose(), callback.iv(), &BASE64_STANDARD.decode(encrypt).expect("base64"));
        let padded = padded.expect("blocks");
        assert_eq!(padded.expose().last(), Some(&pad));
        let random = *padded.expose().first_chunk().expect("random bytes");
        assert_eq!(callback.encrypt(message, owner, random), encrypt);
    }
}

#[test]
fn v5_padding_to_a_ciphers_block_is_read_too() {
    let short = "Q3stYC6hdFzMh9T8HCvyDPAbTGLFm5iluwoG/I4nbG27HYUXaYQ1MjjkBFn6XGEX";
    let opened = ours().decrypt(&BASE64_STANDARD.decode(short).expect("base64")).expect("an envelope");
    assert_eq!((opened.message.expose().as_str(), opened.owner.as_str()), ("success", OWNER));
}

#[test]
fn lengths_count_bytes_and_go_beyond_a_byte() {
    for message in ["", "成功", &"票".repeat(43), &"x".repeat(127), &"x".repeat(128), &"长".repeat(20_000)] {
        let sealed = ours().seal(message, OWNER, UnixMillis(1_767_225_600_000));
        let text = |name: &str| sealed[name].as_str().expect("text").to_owned();
        let (signature, time, nonce) = (text("msg_signature"), text("timeStamp"), text("nonce"));
        let parameters = [("msg_signature", signature.as_str()), ("timestamp", &time), ("nonce", &nonce)];
        let opened = push(&ours(), &parameters, &sealed.to_string(), 0).expect("our own");
        assert_eq!((opened.message.expose().as_str(), opened.owner.as_str()), (message, OWNER));
    }
}

#[test]
fn whatever_is_wrong_is_one_refusal() {
    let ([_, _, _, timestamp, nonce, encrypt, signature, _], _) = SAMPLES[3];
    let sound = [("signature", signature), ("timestamp", timestamp), ("nonce", nonce)];
    let body = json!({ "encrypt": encrypt }).to_string();
    let swap =
        |name: &str, value: &'static str| sound.map(|(n, v)| if n == name { (n, value) } else { (n, v) }).to_vec();
    let without = |name: &str| sound.into_iter().filter(|(n, _)| *n != name).collect::<Vec<_>>();
    let mut two = sound.to_vec();
    two.push(("msg_signature", "0000000000000000000000000000000000000000"));
    let signed = |text: &str| {
        // By somebody who has the token and not the key.
        let signature = ours().sign(timestamp, nonce, text);
        push(
            &ours(),
            &[("signature", &signature), ("timestamp", timestamp), ("nonce", nonce)],
            &json!({ "encrypt": text }).to_string(),
            0,
        )
    };
    push(&ours(), &sound, &body, 3600).map(drop).expect("an hour late");
    push(&ours(), &sound, &body, -3600).map(drop).expect("an hour early");
    let refusals = [
        push(&ours(), &swap("signature", "22d39dda0fffe9b3aa3f060bef0b90794c76c50b"), &body, 0),
        push(&ours(), &swap("signature", "22D39DDA0FFFE9B3AA3F060BEF0B90794C76C50A"), &body, 0),
        push(&ours(), &swap("signature", ""), &body, 0),
        push(&ours(), &swap("timestamp", "1767225600001"), &body, 0),
        push(&ours(), &swap("nonce", "nonce1234"), &body, 0),
        push(&ours(), &without("signature"), &body, 0),
        push(&ours(), &without("timestamp"), &body, 0),
        push(&ours(), &without("nonce"), &body, 0),
        push(&ours(), &two, &body, 0),
        push(&ours(), &sound, &body, 3601),
        push(&ours(), &sound, &body, -3601),
        push(&ours(), &sound, "", 0),
        push(&ours(), &sound, "{}", 0),
        push(&ours(), &sound, r#"{"encrypt":1}"#, 0),
        push(&callback("test2", KEY), &sound, &body, 0),
        // Soundly signed; the rest is not.
        push(&callback(TOKEN, "zbcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"), &sound, &body, 0),
        signed(""),
        signed("not base64"),
        signed("AAAA"),
        signed(&BASE64_STANDARD.encode([0; 32])),
        signed(encrypt.trim_end_matches('=')),
        signed(&encrypt[..64]),
    ];
    for (at, refusal) in refusals.into_iter().enumerate() {
        let fault = refusal.err().unwrap_or_else(|| panic!("{at} passed"));
        assert_eq!((fault.fault, fault.code.as_str()), (Fault::Refused, ""), "{at}");
        assert!(!fault.to_string().contains(KEY) && !fault.to_string().contains(signature), "{fault}");
    }
}

/// The four texts are signed as one: what stands at the edge of two of them may be moved over it.
#[test]
fn a_time_that_took_over_a_piece_of_its_neighbour_is_none() {
    let ours = ours();
    let ([_, _, _, _, _, encrypt, _, _], _) = SAMPLES[3];
    // Sorted, the time comes before the nonce.
    let signature = ours.sign("1767225600000", "9Anonce", encrypt);
    assert_eq!(signature, ours.sign("17672256000009", "Anonce", encrypt), "the same signature");
    let body = json!({ "encrypt": encrypt }).to_string();
    let opened =
        push(&ours, &[("signature", &signature), ("timestamp", "17672256000009"), ("nonce", "Anonce")], &body, 0);
    opened.map(drop).expect("at its own time");
    let parameters = [
        ("signature", Secret::new(signature)),
        ("timestamp", Secret::new("17672256000009".into())),
        ("nonce", Secret::new("Anonce".into())),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).into();
    let posted =
        Posted { parameters: &parameters, body: &Secret::new(body.into_bytes()), now: Timestamp(1_767_225_600) };
    assert_eq!(ours.open(&posted).map(drop).expect_err("another time").fault, Fault::Refused);
    for bad in ["", "+1767225600000", "1767225600000 ", "-1", "1e12", "99999999999999999999", "１"] {
        assert_eq!(millis(bad), None, "{bad}");
    }
    assert_eq!(
        (millis("1614767836"), millis("1608001896814")),
        (Some(UnixMillis(1_614_767_836_000)), Some(UnixMillis(1_608_001_896_814)))
    );
}

#[test]
fn the_padding_and_the_length_are_looked_at_whole() {
    let envelope = |length: u32, rest: &[u8], padding: &[u8]| {
        [&[7; RANDOM_LEN][..], &length.to_be_bytes(), rest, padding].concat()
    };
    assert_eq!(unwrap(&envelope(2, b"okowner", &[5; 5])), Some(("ok", "owner")));
    assert_eq!(unwrap(&envelope(7, b"okowner", &[5; 5])), Some(("okowner", "")));
    for bad in [
        envelope(8, b"okowner", &[5; 5]),
        envelope(u32::MAX, b"okowner", &[5; 5]),
        envelope(2, b"okowner", &[4, 5, 5, 5, 5]),
        envelope(2, b"okowner", &[0]),
        envelope(2, b"okowner", &[33; 33]),
        envelope(2, b"ok\xff", &[1]),
        envelope(2, b"\xff\xffowner", &[1]),
        envelope(0, b"", &[21; 5]),
        vec![32; 31],
        vec![2; 2],
        vec![],
    ] {
        assert_eq!(unwrap(&bad), None, "{bad:?}");
    }
}

#[test]
fn what_can_be_no_token_or_key_is_named() {
    let made = |token: &str, key: &str| Callback::new(Secret::new(token.into()), &Secret::new(key.into())).map(drop);
    assert_eq!(made(TOKEN, KEY), Ok(()));
    for token in ["", "a b", "tøken", &"t".repeat(65)] {
        assert_eq!(made(token, KEY), Err(BadSettings::CallbackToken), "{token}");
    }
    for key in ["", &KEY[1..], &format!("{KEY}="), &format!("{KEY}A"), &KEY.replace('a', "-"), &KEY.replace('a', "=")] {
        assert_eq!(made(TOKEN, key), Err(BadSettings::CallbackKey), "{key}");
    }
    assert!(!format!("{:?}", ours()).contains(TOKEN), "neither shows");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic_and_what_it_takes_is_what_was_sealed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some((message, owner)) = unwrap(&bytes) {
            prop_assert!(PREFIX_LEN + message.len() + owner.len() < bytes.len());
        }
        let _ = ours().decrypt(&bytes);
    }

    #[test]
    fn what_is_sealed_is_opened_and_no_changed_byte_is(message in ".{0,80}", owner in "[a-z0-9]{0,40}", at in any::<prop::sample::Index>(), random in any::<[u8; 16]>()) {
        let encrypted = ours().encrypt(&message, &owner, random);
        let opened = ours().decrypt(&BASE64_STANDARD.decode(&encrypted).expect("base64")).expect("sealed");
        prop_assert_eq!((opened.message.expose(), &opened.owner), (&message, &owner));
        let signature = ours().sign("1767225600000", "n", &encrypted);
        let mut changed = encrypted.into_bytes();
        let at = at.index(changed.len());
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        let parameters = [("signature", signature.as_str()), ("timestamp", "1767225600000"), ("nonce", "n")];
        let body = json!({ "encrypt": changed }).to_string();
        prop_assert!(push(&ours(), &parameters, &body, 0).is_err());
    }

    #[test]
    fn no_post_makes_it_panic(body in any::<Vec<u8>>(), signature in ".{0,50}", timestamp in "[0-9]{0,25}", nonce in ".{0,20}") {
        let parameters = [("signature", signature), ("timestamp", timestamp), ("nonce", nonce)];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), Secret::new(value))).into();
        let posted = Posted { parameters: &parameters, body: &Secret::new(body), now: Timestamp(1_767_225_600) };
        prop_assert!(ours().open(&posted).is_err());
    }
}
