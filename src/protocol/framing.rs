//! Counts the fragments of a message on the byte stream, beside the WebSocket library: the library assembles fragments
//! without telling, and reads on through an endless row of empty ones.

use super::limits::MAX_FRAGMENTS;

/// A message in more than [`MAX_FRAGMENTS`] fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message came in more than {MAX_FRAGMENTS} fragments")]
pub struct TooManyFragments;

/// Follows the frame headers (RFC 6455 section 5.2) of one direction. What is malformed is the library's to refuse.
#[derive(Debug, Clone, Default)]
pub struct FragmentCounter {
    fragments: u32,
    /// Frames that were begun.
    frames: u64,
    expect: Expect,
}

#[derive(Debug, Clone, Copy, Default)]
enum Expect {
    #[default]
    Opcode,
    Length,
    LongLength {
        missing: u8,
        length: u64,
        masked: bool,
    },
    Payload {
        missing: u64,
    },
}

impl FragmentCounter {
    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// [`TooManyFragments`] as soon as the header of the fragment over the limit is seen.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), TooManyFragments> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.expect = match self.expect {
                Expect::Opcode => {
                    self.frames += 1;
                    self.count(byte & 0x0f)?;
                    Expect::Length
                }
                Expect::Length => {
                    let masked = byte & 0x80 != 0;
                    match byte & 0x7f {
                        126 => Expect::LongLength { missing: 2, length: 0, masked },
                        127 => Expect::LongLength { missing: 8, length: 0, masked },
                        length => payload(u64::from(length), masked),
                    }
                }
                Expect::LongLength { missing, length, masked } => {
                    let length = length * 256 + u64::from(byte);
                    match missing {
                        1 => payload(length, masked),
                        _ => Expect::LongLength { missing: missing - 1, length, masked },
                    }
                }
                Expect::Payload { missing } => {
                    let here = missing.min(bytes.len() as u64);
                    bytes = &bytes[usize::try_from(here).unwrap_or(bytes.len())..];
                    self.expect = ahead(missing - here);
                    continue;
                }
            };
            bytes = rest;
        }
        Ok(())
    }

    /// How many frames have passed, where the last of them has ended and nothing has come after it.
    #[must_use]
    pub const fn whole_frames(&self) -> Option<u64> {
        if matches!(self.expect, Expect::Opcode) { Some(self.frames) } else { None }
    }

    fn count(&mut self, opcode: u8) -> Result<(), TooManyFragments> {
        match opcode {
            0 => self.fragments += 1,
            1 | 2 => self.fragments = 1,
            // Control frames stand between fragments and count by another limit.
            _ => {}
        }
        if self.fragments > MAX_FRAGMENTS { Err(TooManyFragments) } else { Ok(()) }
    }
}

fn payload(length: u64, masked: bool) -> Expect {
    ahead(length.saturating_add(if masked { 4 } else { 0 }))
}

fn ahead(missing: u64) -> Expect {
    if missing == 0 { Expect::Opcode } else { Expect::Payload { missing } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match u16::try_from(payload.len()).expect("short") {
            short @ 0..126 => bytes.push(0x80 | short as u8),
            long => {
                bytes.push(0x80 | 126);
                bytes.extend(long.to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(payload);
        bytes
    }

    fn message(fragments: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame(0x01, payload);
        for at in 1..fragments {
            bytes.extend(frame(0x89, b"ping"));
            bytes.extend(frame(if at + 1 == fragments { 0x80 } else { 0x00 }, payload));
        }
        bytes
    }

    #[test]
    fn sixteen_pass_and_the_seventeenth_does_not() {
        let mut counter = FragmentCounter::default();
        for _ in 0..3 {
            assert_eq!(counter.take(&message(MAX_FRAGMENTS, b"")), Ok(()));
        }
        assert_eq!(counter.take(&message(MAX_FRAGMENTS + 1, b"")), Err(TooManyFragments));
    }

    /// A page's frames are masked; whoever masks none is refused elsewhere, but must not be miscounted here.
    #[test]
    fn frames_without_a_mask_and_with_any_length_form_are_counted() {
        for header in [&[0x03][..], &[0x7e, 0, 3], &[0x7f, 0, 0, 0, 0, 0, 0, 0, 3]] {
            let frame = |first: u8| [&[first][..], header, &[0x80; 3]].concat();
            let mut counter = FragmentCounter::default();
            assert_eq!(counter.take(&frame(0x01)), Ok(()));
            for _ in 1..MAX_FRAGMENTS {
                assert_eq!(counter.take(&frame(0x00)), Ok(()));
            }
            assert_eq!(counter.take(&frame(0x00)), Err(TooManyFragments));
        }
        let mut counter = FragmentCounter::default();
        assert_eq!(counter.take(&[0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(()));
        assert_eq!(counter.take(&[0x00; 100]), Ok(()), "the payload of a frame that never ends");
    }

    #[test]
    fn frames_are_whole_at_their_ends_alone() {
        let mut counter = FragmentCounter::default();
        assert_eq!(counter.whole_frames(), Some(0));
        let bytes = frame(0x81, &[0; 200]);
        for at in 0..bytes.len() - 1 {
            assert_eq!(counter.take(&bytes[at..=at]), Ok(()));
            assert_eq!(counter.whole_frames(), None, "after byte {at}");
        }
        assert_eq!(counter.take(&bytes[bytes.len() - 1..]), Ok(()));
        assert_eq!(counter.whole_frames(), Some(1));
        assert_eq!(counter.take(&[frame(0x89, b""), frame(0x81, b"x")].concat()), Ok(()));
        assert_eq!(counter.whole_frames(), Some(3));
    }

    proptest! {
        /// However the stream is cut, and however long the payloads, the count is the same.
        #[test]
        fn cuts_do_not_matter(length in 0_usize..300, cut in 1_usize..50, fragments in 2_u32..20) {
            let mut counter = FragmentCounter::default();
            let bytes = message(fragments, &vec![0x00; length]);
            let verdict = bytes.chunks(cut).try_for_each(|part| counter.take(part));
            prop_assert_eq!(verdict.is_err(), fragments > MAX_FRAGMENTS);
        }
    }
}
