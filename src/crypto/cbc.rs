//! AES-256-CBC, for interfaces of other people that never moved on. It hides and does not authenticate: whoever decrypts has
//! verified a signature over the ciphertext first. ring has no CBC; `aes` and `cbc` are used here alone.

use ::cbc::{Decryptor, Encryptor};
use aes::Aes256;
use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};

use super::Secret;

/// Bytes in a block.
pub const BLOCK_LEN: usize = 16;

/// Decrypts whole blocks; padding is the caller's. Nothing where there is no block, or part of one.
#[must_use]
pub fn decrypt(key: &[u8; 32], iv: &[u8; BLOCK_LEN], ciphertext: &[u8]) -> Option<Secret<Vec<u8>>> {
    let mut text = Secret::new(ciphertext.to_vec());
    let (blocks, []) = Array::slice_as_chunks_mut(text.expose_mut()) else { return None };
    if blocks.is_empty() {
        return None;
    }
    Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
    Some(text)
}

/// Encrypts whole blocks. Nothing where there is part of one.
#[must_use]
pub fn encrypt(key: &[u8; 32], iv: &[u8; BLOCK_LEN], text: &[u8]) -> Option<Vec<u8>> {
    let mut ciphertext = text.to_vec();
    let (blocks, []) = Array::slice_as_chunks_mut(&mut ciphertext) else { return None };
    Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_blocks(blocks);
    Some(ciphertext)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().map(|c| c.to_digit(16).expect("hex")).collect();
        digits.chunks(2).map(|two| u8::try_from(two[0] * 16 + two[1]).expect("a byte")).collect()
    }

    /// NIST SP 800-38A, F.2.5 and F.2.6, the first two blocks.
    #[test]
    fn it_is_what_everybody_computes() {
        let key: [u8; 32] =
            bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").try_into().expect("32");
        let iv: [u8; 16] = bytes("000102030405060708090a0b0c0d0e0f").try_into().expect("16");
        let text = bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let ciphertext = bytes("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d");
        assert_eq!(encrypt(&key, &iv, &text).as_ref(), Some(&ciphertext));
        assert_eq!(decrypt(&key, &iv, &ciphertext).map(|text| text.expose().clone()), Some(text));
        for len in [0, 1, 15, 17, 31] {
            assert!(decrypt(&key, &iv, &ciphertext[..len]).is_none(), "{len}");
        }
        assert_eq!(encrypt(&key, &iv, &[0; 17]), None);
    }
}
