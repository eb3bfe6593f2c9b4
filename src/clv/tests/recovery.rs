//! Draws customers whose parameters are known, and asks whether the intervals
//! that a fit states hold them as often as they say.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, Exp, Gamma, Uniform};

use super::super::*;
use super::fitted;

const RUNS: u64 = 200;
const CUSTOMERS: usize = 1500;

/// Half the width of a 95 % interval, in standard errors.
const WIDTH: f64 = 1.96;

fn draw(law: &impl Distribution<f64>, random: &mut ChaCha8Rng) -> f64 {
    law.sample(random)
}

/// A customer's purchases by BG/NBD, in weeks.
fn customer([r, alpha, a, b]: [f64; 4], random: &mut ChaCha8Rng) -> History {
    let rate = draw(&Gamma::new(r, 1.0 / alpha).expect("a law"), random).max(1e-12);
    let drops = draw(&Beta::new(a, b).expect("a law"), random);
    let age = draw(&Uniform::new(40.0, 80.0).expect("a law"), random);
    let uniform = Uniform::new(0.0, 1.0).expect("a law");
    let (mut now, mut last, mut frequency) = (0.0, 0.0, 0);
    loop {
        now += draw(&Exp::new(rate).expect("a law"), random);
        if now > age {
            break;
        }
        (last, frequency) = (now, frequency + 1);
        if draw(&uniform, random) < drops {
            break;
        }
    }
    History::new(frequency, Span::weeks(last), Span::weeks(age)).expect("a history")
}

/// The share of runs in which an interval holds the truth, by parameter.
fn shares<const N: usize>(
    truth: [f64; N],
    fit: impl Fn(&mut ChaCha8Rng) -> Option<([f64; N], [f64; N])>,
) -> [f64; N] {
    let mut held = [0.0; N];
    for seed in 0..RUNS {
        let Some((estimates, errors)) = fit(&mut ChaCha8Rng::seed_from_u64(seed)) else {
            continue;
        };
        for n in 0..N {
            let inside = (estimates[n] - truth[n]).abs() <= WIDTH * errors[n];
            held[n] += f64::from(u8::from(inside)) / RUNS as f64;
        }
    }
    held
}

/// 200 runs of a share of 0.95 lie within four standard deviations, 0.06;
/// the intervals of skewed estimates are a little off besides.
fn as_often_as_stated(shares: &[f64]) {
    println!("share of 95 % intervals that hold the truth: {shares:?}");
    assert!(shares.iter().all(|share| (0.89..=1.0).contains(share)), "{shares:?}");
}

#[test]
fn bg_nbd_finds_what_was_drawn() {
    let truth = [0.6, 4.0, 0.8, 2.5];
    as_often_as_stated(&shares(truth, |random| {
        let drawn = (0..CUSTOMERS).map(|_| (customer(truth, random), 1));
        let found = fitted(Kind::BgNbd, &Histories::count(drawn, Unit::Week));
        let errors = found.standard_errors?;
        Some((found.estimates.try_into().ok()?, errors.try_into().ok()?))
    }));
}

/// Then a and b may be anything large: a ridge, on which a fit comes to rest.
#[test]
fn everybody_may_drop_out_alike() {
    let random = &mut ChaCha8Rng::seed_from_u64(7);
    let drawn: Vec<(History, u64)> =
        (0..CUSTOMERS).map(|_| (customer([1.0, 3.0, 1.5e6, 8.5e6], random), 1)).collect();
    let counted = Histories::count(drawn, Unit::Week);
    let nobody = fitted(Kind::Nbd, &counted).log_likelihood;
    for kind in [Kind::BgNbd, Kind::MbgNbd] {
        let found = fitted(kind, &counted);
        assert!(found.converged && found.log_likelihood > nobody + 10.0, "{found:?}");
        let [a, b] = [found.estimates[2], found.estimates[3]];
        assert!((0.1..0.2).contains(&(a / (a + b))), "{kind}: {a} {b}");
    }
}

#[test]
fn gamma_gamma_finds_what_was_drawn() {
    let truth = [6.0, 4.0, 15.0];
    let [p, q, v] = truth;
    as_often_as_stated(&shares(truth, |random| {
        let mut spend: Vec<Spend> = (0..CUSTOMERS)
            .map(|customer| {
                let x = u32::try_from(1 + customer % 6).unwrap_or(1);
                let rate = draw(&Gamma::new(q, 1.0 / v).expect("a law"), random);
                let day = Gamma::new(p * f64::from(x), 1.0 / (rate * f64::from(x)));
                let mean = draw(&day.expect("a law"), random);
                Spend::new(x, mean, 1).expect("spend")
            })
            .collect();
        spend.sort_by_key(|one| one.frequency);
        let found = GammaGamma::fit(&spend);
        Some((found.parameters, found.standard_errors()?))
    }));
}
