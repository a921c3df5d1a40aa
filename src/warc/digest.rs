//! Digest: the checksums of blocks and payloads, as `sha256:` and hexadecimal digits. Knows no records.

use ring::digest::{self, Algorithm, Context};

use crate::text::hexadecimal::hexadecimal;

/// The checksum under way of one algorithm.
pub(super) struct Digester(Context);

/// The digits of RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Returns the checksum of some pieces of bytes.
pub(super) fn sha256(pieces: &[&[u8]]) -> String {
    let mut context = Context::new(&digest::SHA256);
    for piece in pieces {
        context.update(piece);
    }
    format!("sha256:{}", hexadecimal(context.finish().as_ref()))
}

impl Digester {
    /// Begins the algorithm that a declared digest names, such as `sha1:…`; `None` where it is not known here.
    pub fn of(declared: &str) -> Option<Self> {
        let (name, _) = declared.split_once(':')?;
        let algorithm: &'static Algorithm = match name.to_ascii_lowercase().replace('-', "").as_str() {
            "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => &digest::SHA256,
            "sha512" => &digest::SHA512,
            _ => return None,
        };
        Some(Self(Context::new(algorithm)))
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Tells whether the bytes have the declared digest, in base 16 or base 32.
    pub fn is(self, declared: &str) -> bool {
        let digest = self.0.finish();
        let value = declared.split_once(':').map_or("", |(_, value)| value).trim_end_matches('=');
        value.eq_ignore_ascii_case(&hexadecimal(digest.as_ref()))
            || value.eq_ignore_ascii_case(&base32(digest.as_ref()))
    }
}

fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    let digit = |five: u32| BASE32.get((five & 31) as usize).copied().map_or(' ', char::from);
    for byte in bytes {
        held = held << 8 & 0xffff | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(digit(held >> bits));
        }
    }
    if bits > 0 {
        out.push(digit(held << (5 - bits)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_other_tools_in_base_16_and_32() {
        assert_eq!(
            sha256(&[b"a", b"bc"]),
            format!("sha256:{}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        for declared in ["sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", "sha-1:a9993e364706816aba3e25717850c26c9cd0d89d"] {
            let mut digester = Digester::of(declared).unwrap();
            digester.update(b"abc");
            assert!(digester.is(declared), "{declared}");
        }
        let mut wrong = Digester::of("sha1:").unwrap();
        wrong.update(b"abc");
        assert!(!wrong.is("sha1:"));
        assert!(Digester::of("md5:x").is_none() && Digester::of("").is_none());
    }
}
