//! SHA-256, written as hexadecimal.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// All 64 characters.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The first 16 characters: enough to name a thing, or to notice that it changed.
pub fn fingerprint(bytes: impl AsRef<[u8]>) -> String {
    let mut hex = sha256(bytes);
    hex.truncate(16);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }
}
