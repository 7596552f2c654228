//! What a QR code of an order says (protocol section 8): an address of the login server whose fragment names the order and
//! the step of the clock. It brings whoever scans it to the order, and nobody to a session.

use super::id::OrderId;
use super::issuer::Issuer;
use super::time::Timestamp;
use crate::crypto;

/// How long one picture is shown, in seconds. It is accepted during the next one's time too.
pub const QR_STEP_SECONDS: u64 = 5;

const LABEL: &[u8] = b"loopkey-qr-v1";
const MAC_LEN: usize = 16;

/// The key that an order's pictures are made with. It stays with the order, and opens nothing.
pub type QrKey = [u8; 32];

/// What a picture says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QrCode {
    /// The order.
    pub order: OrderId,
    /// Which picture of the order it is, the first being 0.
    pub step: u64,
    mac: [u8; MAC_LEN],
}

/// The text is not of a QR code, or was not made with the order's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the code of an order")]
pub struct BadQrCode;

impl QrCode {
    /// The code for a step.
    #[must_use]
    pub fn new(order: OrderId, step: u64, key: &QrKey) -> Self {
        Self { order, step, mac: mac(&order, step, key) }
    }

    /// Reads the fragment of a code's address. It has one spelling.
    ///
    /// # Errors
    /// [`BadQrCode`] for anything else.
    pub fn parse(fragment: &str) -> Result<Self, BadQrCode> {
        let parts: Vec<&str> = fragment.split('.').collect();
        let ["1", order, step, mac] = parts[..] else { return Err(BadQrCode) };
        let number: u64 = step.parse().map_err(|_| BadQrCode)?;
        if number.to_string() != step {
            return Err(BadQrCode);
        }
        let order = order.parse().map_err(|_| BadQrCode)?;
        Ok(Self { order, step: number, mac: super::base64url::decode_array(mac).map_err(|_| BadQrCode)? })
    }

    /// Whether it was made with this key, in constant time.
    #[must_use]
    pub fn is_made_with(&self, key: &QrKey) -> bool {
        crypto::equal_digests(&crypto::sha256(&[&self.mac]), &crypto::sha256(&[&mac(&self.order, self.step, key)]))
    }

    /// Whether it is shown now, or was just before, for an order that was opened at the given time.
    #[must_use]
    pub fn is_fresh(&self, opened_at: Timestamp, now: Timestamp) -> bool {
        let current = step_at(opened_at, now);
        self.step == current || Some(self.step) == current.checked_sub(1)
    }

    /// The fragment.
    #[must_use]
    pub fn fragment(&self) -> String {
        format!("1.{}.{}.{}", self.order, self.step, super::base64url::encode(self.mac))
    }

    /// The whole content of the picture.
    #[must_use]
    pub fn address(&self, issuer: &Issuer) -> String {
        format!("{}#{}", issuer.endpoint("/q"), self.fragment())
    }
}

/// Names the order alone.
impl std::fmt::Debug for QrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QrCode").field("step", &self.step).finish_non_exhaustive()
    }
}

/// The step that is shown at a time.
#[must_use]
pub fn step_at(opened_at: Timestamp, now: Timestamp) -> u64 {
    now.seconds_since(opened_at) / QR_STEP_SECONDS
}

fn mac(order: &OrderId, step: u64, key: &QrKey) -> [u8; MAC_LEN] {
    let (order, step) = (order.to_string(), step.to_string());
    let tag = crypto::hmac_sha256(key, &[LABEL, &[0], order.as_bytes(), &[0], step.as_bytes()]);
    *tag.first_chunk().expect("a tag has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const V7: [(u64, &str); 3] = [
        (0, "https://login.example.com/q#1.QEFCQ0RFRkdISUpLTE1OTw.0.SLzvaBg-eHAcgvEdBerbqg"),
        (1, "https://login.example.com/q#1.QEFCQ0RFRkdISUpLTE1OTw.1.ksEwhioUXrrQWHqnwvIbDQ"),
        (59, "https://login.example.com/q#1.QEFCQ0RFRkdISUpLTE1OTw.59.vwtbVjEOI5gEu0xCmy8xDA"),
    ];

    fn key() -> QrKey {
        std::array::from_fn(|at| u8::try_from(at).expect("small"))
    }

    fn order() -> OrderId {
        OrderId::from_bytes(std::array::from_fn(|at| 0x40 + u8::try_from(at).expect("small")))
    }

    #[test]
    fn the_codes_are_the_vectors() {
        let issuer: Issuer = "https://login.example.com".parse().expect("an issuer");
        for (step, address) in V7 {
            let code = QrCode::new(order(), step, &key());
            assert_eq!(code.address(&issuer), address);
            assert_eq!(QrCode::parse(&code.fragment()), Ok(code));
            assert!(code.is_made_with(&key()) && !code.is_made_with(&[9; 32]));
        }
    }

    #[test]
    fn a_code_has_one_spelling_and_one_maker() {
        let sound = QrCode::new(order(), 1, &key()).fragment();
        for (from, to) in
            [("1.Q", "2.Q"), (".1.", ".01."), (".1.", ".+1."), (".1.", ".-1."), ("DQ", "DR"), ("DQ", "DQ=")]
        {
            let spoiled = sound.replacen(from, to, 1);
            assert_ne!(spoiled, sound);
            assert_eq!(QrCode::parse(&spoiled), Err(BadQrCode), "{spoiled}");
        }
        for bad in ["", "1", "1...", &format!("{sound}."), &format!("#{sound}"), "1.a.b.c"] {
            assert_eq!(QrCode::parse(bad), Err(BadQrCode), "{bad}");
        }
        let moved = sound.replacen(".1.", ".2.", 1);
        assert!(!QrCode::parse(&moved).expect("read").is_made_with(&key()), "the step is signed");
    }

    #[test]
    fn the_picture_and_the_one_before_count() {
        let opened = Timestamp(1000);
        for (step, at, fresh) in
            [(0, 1000, true), (0, 1004, true), (0, 1009, true), (0, 1010, false), (1, 1004, false), (2, 1010, true)]
        {
            assert_eq!(QrCode::new(order(), step, &key()).is_fresh(opened, Timestamp(at)), fresh, "{step} at {at}");
        }
    }
}
