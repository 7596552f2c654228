//! Text → QR code of an order. Anybody can draw a picture, and any scanner posts what it says.

use loopkey::protocol::qr::QrCode;
use loopkey::protocol::time::Timestamp;

const KEY: [u8; 32] = [7; 32];

/// The bytes are the fragment of a picture's address.
pub fn run(data: &[u8]) -> bool {
    let Some(code) = std::str::from_utf8(data).ok().and_then(|text| QrCode::parse(text).ok().map(|code| (text, code)))
    else {
        return false;
    };
    let (text, code) = code;
    assert_eq!(code.fragment(), text, "one spelling");
    let own = QrCode::new(code.order, code.step, &KEY);
    assert_eq!(code.is_made_with(&KEY), own.fragment() == text, "made with the key, or not");
    let shown = format!("{code:?}");
    let mac = text.rsplit('.').next().expect("a last part");
    assert!(!shown.contains(mac), "{shown}");
    // No time is too early or too late to ask about.
    for now in [0, 1, 5_000, u64::MAX] {
        let _ = code.is_fresh(Timestamp(1_000), Timestamp(now));
    }
    true
}
