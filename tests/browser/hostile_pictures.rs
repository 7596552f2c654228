//! Pictures of people that were made to do harm: addresses that are no pictures, pictures that are no bitmaps, and hosts
//! that only want to be called. See `hostile_content.rs` for the stage.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::desk::SOON;
use crate::hostile_content::{Stage, assert_harmless};
use crate::support::browser::Engine;

const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg' onload='parent.pwned(1)'><script>top.pwned(2)</script>\
    <image href='http://127.0.0.1:9/x.png'/><foreignObject><iframe src='javascript:top.pwned(3)'/></foreignObject></svg>";

/// A person called Ada with each of these pictures: `None` where the card must not even try to show it.
async fn pictures(pictures: impl Fn(&Stage) -> Vec<(Value, bool)>) {
    for engine in Engine::ALL {
        let mut stage = Stage::new(engine).await;
        for (avatar, tried) in pictures(&stage) {
            let seen = stage.show(&json!("Ada"), &avatar).await;
            assert_harmless(&seen, "Ada", &avatar);
            if !tried {
                let given = avatar.to_string().chars().take(100).collect::<String>();
                assert_eq!(seen["image"], Value::Null, "shown as a picture: {given}");
            }
        }
        stage.page.click("loopkey-card >>> #login").await.expect("the button");
        stage.page.wait_for("document.body.dataset.session === 'in'", SOON).await.expect("a session");
        let initials = stage.page.text("#person-initials").await.expect("the initials");
        assert_eq!(initials, "A", "they stand where there is no picture");
        stage.leave().await;
    }
}

#[tokio::test]
async fn i154_addresses_that_are_no_pictures() {
    pictures(|stage| {
        let stranger = stage.stranger.authority();
        [
            "javascript:pwned()".to_owned(),
            "JaVaScRiPt:pwned()".to_owned(),
            " \tjava\nscript:pwned()".to_owned(),
            "vbscript:pwned()".to_owned(),
            "data:text/html,<script>parent.pwned()</script>".to_owned(),
            format!("data:text/html;base64,{}", BASE64_STANDARD.encode("<script>parent.pwned()</script>")),
            "data:text/javascript,pwned()".to_owned(),
            "data:,x".to_owned(),
            "file:///etc/passwd".to_owned(),
            "filesystem:http://localhost/temporary/x.png".to_owned(),
            "blob:http://localhost/00000000-0000-0000-0000-000000000000".to_owned(),
            "about:blank".to_owned(),
            format!("http://{stranger}/x.png"),
            format!("//{stranger}/x.png"),
            format!("\\\\{stranger}\\x.png"),
            format!("https://user:secret@{stranger}/x.png"),
            format!("ws://{stranger}/x.png"),
            format!("ftp://{stranger}/x.png"),
            "https://".to_owned(),
            "x\" onerror=\"pwned()".repeat(10_000),
        ]
        .into_iter()
        .map(|address| (address.into(), false))
        .chain([(json!(7), false), (json!(["https://x.test/"]), false), (json!({ "href": "https://x.test/" }), false)])
        .collect()
    })
    .await;
}

#[tokio::test]
async fn i154_svg_with_script() {
    pictures(|_| {
        let encoded = BASE64_STANDARD.encode(SVG);
        vec![
            (format!("data:image/svg+xml,{SVG}").into(), false),
            (format!("data:image/svg+xml;base64,{encoded}").into(), false),
            (format!("data:image/SVG+XML;charset=utf-8,{SVG}").into(), false),
            // Called a bitmap. A browser decodes it as one, or not at all.
            (format!("data:image/png;base64,{encoded}").into(), true),
            (format!("data:image/png,{SVG}").into(), true),
            (format!("data:image/webp;x=image/svg+xml;base64,{encoded}").into(), true),
        ]
    })
    .await;
}

#[tokio::test]
async fn i154_huge_dimensions() {
    let data = |width, height| format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png(width, height)));
    pictures(|_| {
        vec![
            (data(60_000, 60_000).into(), true),
            (data(1, 1_000_000).into(), true),
            (data(u32::MAX, u32::MAX).into(), true),
            (data(0, 0).into(), true),
            (format!("data:image/jpeg;base64,{}", "/9j/".repeat(20_000)).into(), true),
            (format!("data:image/png;base64,{}", "A".repeat(200_000)).into(), false),
        ]
    })
    .await;
}

/// What the card lets through, since an https address is one, the demo's policy keeps from its host; and a redirect from
/// the site's own origin leads nowhere.
#[tokio::test]
async fn i154_hosts_that_want_to_be_called() {
    for engine in Engine::ALL {
        let mut stage = Stage::new(engine).await;
        let stranger = stage.stranger.authority();
        stage.redirect_to(&format!("http://{stranger}/pixel.png"));
        for avatar in [format!("https://{stranger}/x.png?account=ada"), "/away.png".to_owned()] {
            let seen = stage.show(&json!("Ada"), &avatar.clone().into()).await;
            assert_eq!((&seen["title"], &seen["ran"]), (&json!("Ada"), &json!([])), "{avatar}");
            let gone = "!$('loopkey-card >>> img') && violations.some((each) => each.startsWith('img-src'))";
            stage.page.wait_for(gone, SOON).await.expect("the picture is refused and the initials stay");
            assert!(stage.page.eval::<bool>("(violations.length = 0, true)").await.expect("forgotten"));
        }
        assert_eq!(stage.stranger.calls().await, 0, "a foreign host was called");
    }
}

/// A picture that says to be of this size, and has next to nothing in it.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    // Zlib's shortest stream: one empty stored block.
    let data = [0x78, 0x01, 0x01, 0, 0, 0xff, 0xff, 0, 0, 0, 1];
    for (kind, content) in [(b"IHDR", &header[..]), (b"IDAT", &data[..]), (b"IEND", &[][..])] {
        let chunk = [&kind[..], content].concat();
        bytes.extend(u32::try_from(content.len()).expect("small").to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend(crc32(&chunk).to_be_bytes());
    }
    bytes
}

/// The check sum of PNG (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
