//! Random numbers that are the same on every machine.
//!
//! `rand_distr` is not used on purpose: its logarithms and powers come from
//! the platform's C library as soon as any crate of the build turns on the
//! `std` feature of `num-traits`, as arrow does, and they differ in the last
//! bit between processors; nor does it promise equal values across versions.
//! Here they come from `libm`, which is plain Rust arithmetic.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of draws that belongs to one seed and one number.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    /// The seed is the cipher's key and the number its nonce: streams of
    /// different numbers never overlap, in whatever order they are drawn.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(number);
        Self(generator)
    }

    /// Uniform in the open interval (0, 1), so that its logarithm exists:
    /// the midpoint of one of 2^52 equal cells.
    pub(super) fn uniform(&mut self) -> f64 {
        const CELLS: f64 = (1_u64 << 52) as f64;
        ((self.0.next_u64() >> 12) as f64 + 0.5) / CELLS
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// One of `choices`, each as likely as the next.
    pub(super) fn choose<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        choices[(self.uniform() * N as f64) as usize]
    }

    /// One of the choices, each with its share; shares add up to 1.
    pub(super) fn choose_by_share<T: Copy, const N: usize>(
        &mut self,
        choices: &[(T, f64); N],
    ) -> T {
        let mut left = self.uniform();
        for &(choice, share) in choices {
            left -= share;
            if left < 0.0 {
                return choice;
            }
        }
        // Shares that add up to a hair less than 1 end here.
        choices[N - 1].0
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Gamma with the given shape and mean shape / rate.
    ///
    /// Marsaglia & Tsang 2000, A Simple Method for Generating Gamma
    /// Variables, with their boost for shapes below 1.
    pub(super) fn gamma(&mut self, shape: f64, rate: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(self.uniform(), 1.0 / shape);
            return boost * self.gamma(shape + 1.0, rate);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let root = 1.0 + c * x;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            let limit = 0.5 * x * x + d * (1.0 - v + libm::log(v));
            if libm::log(self.uniform()) < limit {
                return d * v / rate;
            }
        }
    }

    /// Beta as the share of one gamma in two.
    pub(super) fn beta(&mut self, a: f64, b: f64) -> f64 {
        let x = self.gamma(a, 1.0);
        let y = self.gamma(b, 1.0);
        x / (x + y).max(f64::MIN_POSITIVE)
    }

    /// Standard normal by Marsaglia's polar method.
    fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square < 1.0 {
                return x * (-2.0 * libm::log(square) / square).sqrt();
            }
        }
    }
}
