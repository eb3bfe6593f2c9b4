//! What can happen to a file on its way.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Damages bytes in one to four places, the same for the same seed.
pub fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut chance = Chance::of(seed);
    let mut bytes = bytes.to_vec();
    for _ in 0..=chance.below(4) {
        damage(&mut bytes, &mut chance);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    if bytes.is_empty() {
        return;
    }
    let place = chance.below(bytes.len());
    match chance.below(10) {
        0 => bytes.truncate(place),
        1 => {
            let end = (place + 1 + chance.below(16)).min(bytes.len());
            bytes.drain(place..end);
        }
        2 => {
            let end = (place + 1 + chance.below(16)).min(bytes.len());
            let again = bytes[place..end].to_vec();
            bytes.splice(place..place, again);
        }
        3 | 4 => bytes[place] = chance.byte(),
        5 => bytes[place] = [0, 0x7f, 0x80, 0xff][chance.below(4)],
        _ => bytes[place] ^= 1 << chance.below(8),
    }
}

/// Numbers that look random.
struct Chance(ChaCha8Rng);

impl Chance {
    fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % bound as u64).expect("below a length")
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64().to_le_bytes()[0]
    }
}
