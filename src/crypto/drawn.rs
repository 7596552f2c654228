//! Random values in advance: a system call for each costs more than the drawing.

use std::sync::{Mutex, PoisonError};

/// What the system gives in one call without being interrupted, in bytes (getrandom(2)).
const ONE_DRAW: usize = 256;

/// Random values of the operating system, of which several are drawn at a time and each is given out once.
pub struct Drawn<const N: usize>(Mutex<Vec<[u8; N]>>);

impl<const N: usize> Drawn<N> {
    /// The next one.
    ///
    /// # Panics
    /// Where the operating system has no random bytes to give, as [`random`](super::random) does.
    #[must_use]
    pub fn next(&self) -> [u8; N] {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = left.pop() {
            return value;
        }
        let bytes = super::random::<ONE_DRAW>();
        let (values, _) = bytes.as_chunks();
        left.extend(values);
        left.pop().unwrap_or_else(super::random)
    }
}

impl<const N: usize> Default for Drawn<N> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// What is not given out yet is a secret.
impl<const N: usize> std::fmt::Debug for Drawn<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drawn")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_value_comes_twice_and_none_is_short_of_randomness() {
        let drawn = Drawn::<32>::default();
        let values: HashSet<_> = (0..1000).map(|_| drawn.next()).collect();
        assert_eq!(values.len(), 1000);
        for at in 0..32 {
            assert!(values.iter().any(|value| value[at] != 0), "byte {at} is never drawn");
        }
    }

    #[test]
    fn what_is_longer_than_one_draw_is_drawn_by_itself() {
        let drawn = Drawn::<300>::default();
        assert_ne!(drawn.next(), drawn.next());
    }
}
