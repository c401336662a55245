//! Recovery passwords. They are derived from the seed and the key ID whenever one is asked for, and stored nowhere:
//! a saved tenant holds no digits.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The 48 digits of a key, as Graph prints them: eight blocks of six with hyphens. Each block is a 16-bit number
/// times 11, so it is divisible by 11 and at most 720885.
pub fn recovery_password(seed: u64, key_id: Uuid) -> String {
    let digest = Sha256::new_with_prefix(b"recovery password")
        .chain_update(seed.to_le_bytes())
        .chain_update(key_id.as_bytes())
        .finalize();
    let mut password = String::with_capacity(55);
    for pair in digest[..16].chunks_exact(2) {
        if !password.is_empty() {
            password.push('-');
        }
        let number = u32::from(u16::from_le_bytes([pair[0], pair[1]]));
        let _ = write!(password, "{:06}", number * 11);
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_six_digits_divisible_by_eleven_and_small_enough() {
        for n in 0..500_u128 {
            let password = recovery_password(42, Uuid::from_u128(n));
            let blocks: Vec<&str> = password.split('-').collect();
            assert_eq!(blocks.len(), 8, "{password}");
            for block in blocks {
                assert_eq!(block.len(), 6, "{password}");
                let number: u32 = block.parse().unwrap();
                assert!(number.is_multiple_of(11) && number <= 720_885, "{password}");
            }
        }
    }

    #[test]
    fn a_password_depends_on_seed_and_key_alone() {
        let key = Uuid::from_u128(5);
        assert_eq!(recovery_password(1, key), recovery_password(1, key));
        assert_ne!(recovery_password(1, key), recovery_password(2, key));
        assert_ne!(recovery_password(1, key), recovery_password(1, Uuid::from_u128(6)));
    }
}
