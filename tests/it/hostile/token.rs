//! A login token whose form, header or signature is not what it must be (inputs 105 to 117): one answer, byte for byte,
//! and the challenge is still good afterwards.

use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;

use super::forge::{Object, quoted, refused, refused_headers, sign_text, signing_input, with_signature};

/// The order of P-256, big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of Ed25519's base point, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn attacker() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Es256).expect("key").0
}

#[tokio::test]
async fn i105_an_algorithm_of_none_in_any_case() {
    refused(Algorithm::Es256, |case| {
        let none = ["none", "None", "NONE", "nOnE", ""].map(|alg| case.header().with("alg", &quoted(alg)));
        let signed = none.iter().map(|header| case.with_header(header));
        let unsigned = none.iter().map(|header| signing_input(&header.text(), case.claims().text()) + ".");
        signed.chain(unsigned).collect()
    })
    .await;
}

/// The classic: whoever knows the public key uses it as the secret of an HMAC.
#[tokio::test]
async fn i106_hs256_with_the_public_key_as_the_secret() {
    refused(Algorithm::Es256, |case| {
        let jwk = case.device.key.public().to_jwk();
        let header = case.header().with("alg", "\"HS256\"");
        let input = signing_input(&header.text(), case.claims().text());
        let secrets = [
            serde_json::to_vec(&jwk).expect("JSON"),
            jwk.thumbprint_input().into_bytes(),
            case.device.key.public().id().to_string().into_bytes(),
            Vec::new(),
        ];
        let tag = |secret: &Vec<u8>| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
            format!("{input}.{}", base64url::encode(ring::hmac::sign(&key, input.as_bytes())))
        };
        secrets.iter().map(tag).collect()
    })
    .await;
}

#[tokio::test]
async fn i107_es256_named_for_an_ed25519_key() {
    refused(Algorithm::Ed25519, |case| {
        let other = attacker();
        let header = case.header().with("alg", "\"ES256\"");
        vec![case.with_header(&header), sign_text(&header.text(), case.claims().text(), &other)]
    })
    .await;
}

#[tokio::test]
async fn i107_ed25519_or_its_older_name_for_an_es256_key() {
    refused(Algorithm::Es256, |case| {
        let (other, _) = SoftwareKey::generate(Algorithm::Ed25519).expect("key");
        let ed25519 = case.header().with("alg", "\"Ed25519\"");
        let older = case.header().with("alg", "\"EdDSA\"");
        let signed = |header: &Object| sign_text(&header.text(), case.claims().text(), &other);
        vec![case.with_header(&ed25519), case.with_header(&older), signed(&ed25519), signed(&older)]
    })
    .await;
}

/// The older name also where the key is one of that kind.
#[tokio::test]
async fn i107_eddsa_for_an_ed25519_key() {
    refused(Algorithm::Ed25519, |case| vec![case.with_header(&case.header().with("alg", "\"EdDSA\""))]).await;
}

/// A key that comes with the token, or an address of one, is the attacker's.
#[tokio::test]
async fn i108_a_key_or_its_address_in_the_header() {
    refused(Algorithm::Es256, |case| {
        let attacker = attacker();
        let jwk = serde_json::to_string(&attacker.public().to_jwk()).expect("JSON");
        let (address, chain) = ("\"https://evil.example.com/keys\"", "[\"MIIB\"]");
        let own_kid = quoted(&attacker.public().id().to_string());
        let mut tokens = Vec::new();
        for (name, raw) in
            [("jwk", jwk.as_str()), ("jku", address), ("x5u", address), ("x5c", chain), ("x5t", "\"AA\"")]
        {
            let header = case.header().also(name, raw);
            tokens.push(case.with_header(&header));
            tokens.push(sign_text(&header.text(), case.claims().text(), &attacker));
            tokens.push(sign_text(&header.with("kid", &own_kid).text(), case.claims().text(), &attacker));
        }
        tokens
    })
    .await;
}

#[tokio::test]
async fn i109_a_crit_header() {
    refused_headers(|sound| {
        [r#"["b64"]"#, r#"["exp"]"#, "[]", "null", r#""exp""#].map(|raw| sound.clone().also("crit", raw)).to_vec()
    })
    .await;
}

/// RFC 7797: the payload signed as it stands.
#[tokio::test]
async fn i110_an_unencoded_payload() {
    refused(Algorithm::Es256, |case| {
        let bare = case.header().also("b64", "false");
        let named = bare.clone().also("crit", r#"["b64"]"#);
        let mut tokens: Vec<_> = [&bare, &named].map(|header| case.with_header(header)).to_vec();
        for header in [&bare, &named] {
            let input = format!("{}.{}", base64url::encode(header.text()), case.claims().text());
            let signature = case.device.key.sign(input.as_bytes()).expect("signed");
            tokens.push(format!("{input}.{}", base64url::encode(signature)));
        }
        tokens
    })
    .await;
}

#[tokio::test]
async fn i111_a_kid_that_is_missing_unknown_or_an_injection() {
    refused_headers(|sound| {
        let kid = sound.raw("kid").trim_matches('"').to_owned();
        let long = "A".repeat(4096);
        let texts = [
            "A".repeat(43),
            "../../../../etc/passwd".to_owned(),
            "file:///dev/null".to_owned(),
            "' OR '1'='1".to_owned(),
            "x'; DROP TABLE devices; --".to_owned(),
            format!("{kid}\0"),
            format!("\0{}", &kid[1..]),
            format!("{kid} "),
            format!("{kid}="),
            kid.to_uppercase(),
            String::new(),
            long,
        ];
        let mut headers: Vec<_> = texts.iter().map(|text| sound.clone().with("kid", &quoted(text))).collect();
        for raw in ["null", "0", "[]", "{}", &format!("[\"{kid}\"]"), &format!("{{\"kid\":\"{kid}\"}}")] {
            headers.push(sound.clone().with("kid", raw));
        }
        headers.push(sound.clone().without("kid"));
        headers.push(sound.clone().also("kid", sound.raw("kid")));
        headers
    })
    .await;
}

#[tokio::test]
async fn i112_a_signature_cut_short_or_lengthened() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        refused(algorithm, |case| {
            let token = case.device.token(&case.challenge);
            let mut tokens: Vec<_> = [0, 1, 32, 63]
                .iter()
                .map(|len| {
                    with_signature(&token, |mut signature| {
                        signature.truncate(*len);
                        signature
                    })
                })
                .collect();
            for more in [vec![0], vec![0; 64], b"anything".to_vec()] {
                tokens.push(with_signature(&token, |signature| [signature, more].concat()));
            }
            tokens.push(with_signature(&token, |signature| [vec![0], signature].concat()));
            tokens.push(with_signature(&token, |_| vec![0; 64]));
            tokens
        })
        .await;
    }
}

/// An integer as DER writes it: no needless zeros, and none that would make it negative.
fn der_integer(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
    let sign = if number[start] & 0x80 == 0 { &[][..] } else { &[0] };
    let content = [sign, &number[start..]].concat();
    [&[2, content.len() as u8], content.as_slice()].concat()
}

#[tokio::test]
async fn i113_an_es256_signature_in_der() {
    refused(Algorithm::Es256, |case| {
        let token = case.device.token(&case.challenge);
        let der = |signature: Vec<u8>| {
            let content = [der_integer(&signature[..32]), der_integer(&signature[32..])].concat();
            [&[0x30, content.len() as u8], content.as_slice()].concat()
        };
        vec![with_signature(&token, der)]
    })
    .await;
}

#[tokio::test]
async fn i113_an_es256_signature_of_zero_the_order_or_next_to_it() {
    let next_to = |by: i8| {
        let mut number = P256_ORDER;
        number[31] = number[31].wrapping_add_signed(by);
        number
    };
    let one = {
        let mut number = [0; 32];
        number[31] = 1;
        number
    };
    let ends = [[0; 32], one, next_to(-1), P256_ORDER, next_to(1), [0xff; 32]];
    refused(Algorithm::Es256, |case| {
        let token = case.device.token(&case.challenge);
        let mut tokens = Vec::new();
        for end in ends {
            tokens.push(with_signature(&token, |signature| [&end, &signature[32..]].concat()));
            tokens.push(with_signature(&token, |signature| [&signature[..32], &end].concat()));
            // "Psychic" signatures: both at once.
            tokens.extend(ends.map(|other| with_signature(&token, |_| [end, other].concat())));
        }
        tokens.push(with_signature(&token, |signature| [&signature[32..], &signature[..32]].concat()));
        tokens
    })
    .await;
}

/// The second signature (r, n−s) that everybody can compute from the first.
pub(super) fn twin(token: &str) -> String {
    with_signature(token, |mut signature| {
        let mut borrow = 0;
        for at in (0..32).rev() {
            let difference = i16::from(P256_ORDER[at]) - i16::from(signature[32 + at]) - borrow;
            borrow = i16::from(difference < 0);
            signature[32 + at] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
        }
        signature
    })
}

/// The twin verifies, so it may be the first. Neither may be the second.
#[tokio::test]
async fn i114_the_twin_of_an_es256_signature_is_no_second_token() {
    for twin_first in [false, true] {
        let mut case = super::forge::Case::new().await;
        let token = case.device.token(&case.challenge);
        let (first, second) = if twin_first { (twin(&token), token) } else { (token.clone(), twin(&token)) };
        assert_ne!(first, second);
        let cookies = case.browser.cookies.clone();
        assert_eq!(case.browser.login(&case.challenge, &first, case.device.subject.as_str()).await.status, 204);
        case.browser.cookies = cookies;
        case.refuses("the other of the two", &second).await;
    }
}

/// RFC 8032 section 5.1.7: a scalar is below the order, or every signature would have others.
#[tokio::test]
async fn i115_an_ed25519_signature_with_the_order_added() {
    refused(Algorithm::Ed25519, |case| {
        let token = case.device.token(&case.challenge);
        let add = |signature: Vec<u8>| {
            let mut changed = signature;
            let mut carry = 0;
            for at in 0..32 {
                let sum = u16::from(changed[32 + at]) + u16::from(ED25519_ORDER[at]) + carry;
                changed[32 + at] = sum as u8;
                carry = sum >> 8;
            }
            assert_eq!(carry, 0, "it still fits");
            changed
        };
        let once = with_signature(&token, add);
        let twice = with_signature(&once, add);
        vec![once, twice]
    })
    .await;
}

#[tokio::test]
async fn i116_other_spellings_of_the_same_bytes() {
    refused(Algorithm::Es256, |case| {
        let token = case.device.token(&case.challenge);
        let parts: Vec<_> = token.split('.').collect();
        let mut tokens = Vec::new();
        let mut spelled = |part: usize, text: String| {
            let mut parts = parts.clone();
            parts[part] = &text;
            // What is signed is the text: with a sound signature over it, only its spelling is wrong.
            let input = format!("{}.{}", parts[0], parts[1]);
            let signature = base64url::encode(case.device.key.sign(input.as_bytes()).expect("signed"));
            tokens.push(format!("{input}.{}", if part == 2 { parts[2] } else { &signature }));
        };
        for (number, part) in parts.iter().enumerate() {
            for padding in ["=", "==", "%3D"] {
                spelled(number, format!("{part}{padding}"));
            }
            for space in [" ", "\n", "\r\n", "\t", "\0", "\u{a0}", "\u{feff}"] {
                spelled(number, format!("{part}{space}"));
                spelled(number, format!("{space}{part}"));
                spelled(number, format!("{}{space}{}", &part[..8], &part[8..]));
            }
            // What the standard alphabet writes for - and _.
            spelled(number, format!("{}+/{}", &part[..8], &part[10..]));
            if part.len() % 4 != 0 {
                // The last letter's low bits mean nothing, and must say so.
                let (rest, last) = part.split_at(part.len() - 1);
                let sound = base64url::decode(part).expect("sound");
                for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
                    if last != other.to_string() && lenient(&format!("{rest}{other}")) == sound {
                        spelled(number, format!("{rest}{other}"));
                    }
                }
            }
        }
        // The signature's 64 bytes leave four bits over: fifteen other spellings at least.
        assert!(tokens.len() >= 3 * 25 + 15, "{} spellings", tokens.len());
        tokens
    })
    .await;
}

/// Base64url as a careless decoder reads it.
fn lenient(text: &str) -> Vec<u8> {
    let value = |letter: u8| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".iter().position(|l| *l == letter)
    };
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_usize, 0);
    for letter in text.bytes() {
        buffer = buffer << 6 | value(letter).expect("of the alphabet");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    bytes
}

#[tokio::test]
async fn i117_two_four_or_five_parts_and_the_json_serialization() {
    refused(Algorithm::Es256, |case| {
        let token = case.device.token(&case.challenge);
        let parts: Vec<_> = token.split('.').collect();
        let flattened =
            format!(r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#, parts[0], parts[1], parts[2]);
        let general = format!(
            r#"{{"payload":"{}","signatures":[{{"protected":"{}","signature":"{}"}}]}}"#,
            parts[1], parts[0], parts[2]
        );
        vec![
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            parts[0].to_owned(),
            parts[..2].join("."),
            parts[1..].join("."),
            format!("{}..{}", parts[0], parts[2]),
            format!(".{}", parts[1..].join(".")),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{}", parts[2]),
            format!("{token}.AA.AA"),
            // The five parts of an encrypted token.
            format!("{}.AA.{}", token, token),
            flattened,
            general,
        ]
    })
    .await;
}
