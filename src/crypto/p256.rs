//! Whether two coordinates are those of a point of P-256 (SEC 2 version 2, section 2.4.2).
//!
//! ring says so only when it agrees on a key with the point, which costs as much as a signature. A store loads a key for
//! every statement that names one, so that price would tell by time which keys are enrolled. Public keys are public:
//! nothing here runs in constant time, and nothing secret may come near it.

/// A number below the prime: four words, the least one first.
type Field = [u64; 4];

/// The prime: 2^256 − 2^224 + 2^192 + 2^96 − 1.
const PRIME: Field = [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];
/// The `b` of y² = x³ − 3x + b.
const B: Field = [0x3bce_3c3e_27d2_604b, 0x651d_06b0_cc53_b0f6, 0xb3eb_bd55_7698_86bc, 0x5ac6_35d8_aa3a_93e7];

/// Whether both are canonical and satisfy the curve's equation. The curve has prime order: every such point is sound.
pub(super) fn is_on_curve(x: &[u8; 32], y: &[u8; 32]) -> bool {
    let (Some(x), Some(y)) = (parse(x), parse(y)) else { return false };
    let three = [3, 0, 0, 0];
    // x·(x² − 3) + b
    let right = add(multiply(x, subtract(multiply(x, x), three)), B);
    multiply(y, y) == right
}

/// Big-endian; none where it is the prime or more, which would be a second spelling of a smaller number.
fn parse(bytes: &[u8; 32]) -> Option<Field> {
    let mut number = [0; 4];
    for (word, bytes) in number.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *word = u64::from_be_bytes(bytes.try_into().expect("chunks of eight"));
    }
    is_below_prime(number).then_some(number)
}

fn is_below_prime(number: Field) -> bool {
    number.iter().rev().lt(PRIME.iter().rev())
}

fn add(a: Field, b: Field) -> Field {
    let (sum, carry) = each_word(a, b, u64::overflowing_add);
    if carry || !is_below_prime(sum) { each_word(sum, PRIME, u64::overflowing_sub).0 } else { sum }
}

fn subtract(a: Field, b: Field) -> Field {
    let (difference, borrow) = each_word(a, b, u64::overflowing_sub);
    if borrow { each_word(difference, PRIME, u64::overflowing_add).0 } else { difference }
}

/// Word by word from the least one, with the carry or borrow of the one before.
fn each_word(a: Field, b: Field, step: fn(u64, u64) -> (u64, bool)) -> (Field, bool) {
    let (mut result, mut carry) = ([0; 4], false);
    for at in 0..4 {
        let (partial, first) = step(a[at], b[at]);
        let (word, second) = step(partial, u64::from(carry));
        (result[at], carry) = (word, first || second);
    }
    (result, carry)
}

/// Doubling and adding, from the greatest bit: slow beside other ways, and short enough to be seen to be right.
fn multiply(a: Field, b: Field) -> Field {
    let mut product = [0; 4];
    for bit in (0..256).rev() {
        product = add(product, product);
        if b[bit / 64] >> (bit % 64) & 1 == 1 {
            product = add(product, a);
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: Field) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(number.iter().rev()) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The base point of SEC 2.
    const G: (Field, Field) = (
        [0xf4a1_3945_d898_c296, 0x7703_7d81_2deb_33a0, 0xf8bc_e6e5_63a4_40f2, 0x6b17_d1f2_e12c_4247],
        [0xcbb6_4068_37bf_51f5, 0x2bce_3357_6b31_5ece, 0x8ee7_eb4a_7c0f_9e16, 0x4fe3_42e2_fe1a_7f9b],
    );

    #[test]
    fn the_base_point_and_its_opposite_are_on_the_curve() {
        let (x, y) = G;
        assert!(is_on_curve(&bytes(x), &bytes(y)));
        assert!(is_on_curve(&bytes(x), &bytes(subtract([0; 4], y))));
        assert!(!is_on_curve(&bytes(y), &bytes(x)));
        assert!(!is_on_curve(&[0; 32], &[0; 32]));
    }

    #[test]
    fn the_ends_of_the_field() {
        let less_one = subtract([0; 4], [1, 0, 0, 0]);
        assert_eq!(add(less_one, [1, 0, 0, 0]), [0; 4]);
        assert_eq!(multiply(less_one, less_one), [1, 0, 0, 0]);
        assert_eq!(parse(&bytes(less_one)), Some(less_one));
        assert_eq!(parse(&bytes(PRIME)), None);
        assert_eq!(parse(&[0xff; 32]), None);
    }

    /// (0, √b) is on the curve, and (p, √b) is another spelling of it.
    #[test]
    fn a_second_spelling_of_a_point_is_refused() {
        // p ≡ 3 (mod 4): the root of b is b^((p + 1) / 4).
        let exponent = {
            let above = each_word(PRIME, [1, 0, 0, 0], u64::overflowing_add).0;
            let mut quarter = [0; 4];
            for at in 0..4 {
                quarter[at] = above[at] >> 2 | above.get(at + 1).map_or(0, |next| next << 62);
            }
            quarter
        };
        let mut root = [1, 0, 0, 0];
        for bit in (0..256).rev() {
            root = multiply(root, root);
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
                root = multiply(root, B);
            }
        }
        assert!(is_on_curve(&[0; 32], &bytes(root)));
        assert!(!is_on_curve(&bytes(PRIME), &bytes(root)));
    }
}
