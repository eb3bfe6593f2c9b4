//! Integrals of smooth functions: over a span of time in panels, and over a
//! beta distribution.

use libm::{exp, expm1, log, log1p, sqrt};

use super::chances::Chances;
use super::special::sigmoid;

/// Gauss-Legendre of 12 nodes on [−1, 1]: the positive nodes with their
/// weights (Abramowitz and Stegun 1964, table 25.4).
const GAUSS: [(f64, f64); 6] = [
    (0.125_233_408_511_468_9, 0.249_147_045_813_402_8),
    (0.367_831_498_998_180_2, 0.233_492_536_538_354_8),
    (0.587_317_954_286_617_4, 0.203_167_426_723_065_92),
    (0.769_902_674_194_304_7, 0.160_078_328_543_346_22),
    (0.904_117_256_370_474_9, 0.106_939_325_995_318_43),
    (0.981_560_634_246_719_2, 0.047_175_336_386_511_83),
];

/// φ below which a value is the same for all chances, to the last digit.
const ONE_CHANCE: f64 = 1e-17;

/// Panels at most: more are only asked for by parameters without meaning.
const PANELS_MAX: usize = 4096;

/// Calls `add(node, weight)` so that the sum of weight × value is the integral
/// from `begin` to `end`. `width` says how wide a panel that begins at a place
/// may be, or that nothing worth adding is left.
///
/// A panel is exact to the last bits where the next singularity is as far away
/// as the panel is wide, and a decay within it is no more than e⁻⁶.
pub fn panels(
    begin: f64,
    end: f64,
    width: impl Fn(f64) -> Option<f64>,
    mut add: impl FnMut(f64, f64),
) {
    let mut from = begin;
    for _ in 0..PANELS_MAX {
        if from >= end {
            return;
        }
        let Some(width) = width(from) else { return };
        // What is left after a panel is not to be a sliver.
        let to = if from + 1.25 * width >= end { end } else { from + width };
        let (middle, half) = ((from + to) / 2.0, (to - from) / 2.0);
        for (node, weight) in GAUSS {
            add(middle - half * node, half * weight);
            add(middle + half * node, half * weight);
        }
        if to <= from {
            return;
        }
        from = to;
    }
}

/// The expectation of `value(p)` for p ~ Beta(a, b), for a, b > 0 and a value
/// that is smooth on the half-plane of p > −1 / `steepness`.
///
/// The trapezoidal rule over v = ln(p / (1 − p)), which converges exponentially
/// there (Trefethen and Weideman 2014). Far out, where the value is constant,
/// the terms are a geometric series and are summed as one. Numerator and
/// denominator are summed alike, so that no beta function is needed. Where the
/// law is one chance, so is its mean.
pub fn beta_mean(chances: &Chances, steepness: f64, value: impl Fn(f64) -> f64) -> f64 {
    let (a, b) = (chances.a(), chances.b());
    if chances.phi < ONE_CHANCE || a == 0.0 || b == 0.0 {
        return value(chances.p);
    }
    let spread = sqrt(1.0 / a + 1.0 / b);
    let step = (0.3 * spread).min(0.4);
    // Where p is so small, or so close to 1, that the value does not change.
    let negligible = 1e-18;
    let lowest = log(negligible / (1.0 + a + b + steepness));
    let highest = -log(negligible / (1.0 + a + b));
    // The density falls by e⁻⁴⁵ within this, if not cut off before.
    let mode = log(a / b).clamp(lowest + step, highest - step);
    // Its logarithm, that at the mode being 0; a difference of two of them
    // would cancel where a and b are large.
    let at_mode = sigmoid(mode);
    let density = |v: f64| a * (v - mode) - (a + b) * log1p(at_mode * expm1(v - mode));
    let (mut weighed, mut weights) = (0.0, 0.0);
    let mut add = |v: f64, times: f64| {
        let weight = exp(density(v)) * times;
        weighed += weight * value(1.0 / (1.0 + exp(-v)));
        weights += weight;
    };
    let mut v = mode;
    while density(v) > -45.0 {
        if v <= lowest {
            add(v, 1.0 / expm1(a * step));
            break;
        }
        v -= step;
        add(v, 1.0);
    }
    add(mode, 1.0);
    let mut v = mode;
    while density(v) > -45.0 {
        if v >= highest {
            add(v, 1.0 / expm1(b * step));
            break;
        }
        v += step;
        add(v, 1.0);
    }
    weighed / weights
}
