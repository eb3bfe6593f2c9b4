//! Shops whose customers are alike: subscribers who renew every month, buyers
//! with a rhythm, buyers of one common rate. Nine of each kind, against a fit by
//! other means (`alike.csv`, made by `alike.py` with scipy: log-likelihoods, and
//! the purchases of 13 weeks that they expect).
//!
//! The customers are drawn with whole numbers and comparisons alone, so that
//! both programs draw the same.

use super::super::*;
use super::fitted;

/// The kinds in the order of their seeds.
const KINDS: [&str; 7] =
    ["subscribers", "drawn", "jitter", "regular", "own_rhythm", "poisson", "poisson_leaving"];

const CUSTOMERS: usize = 1200;

/// The last day of the calibration, and of the hold-out 13 weeks later.
const CALIBRATION: u32 = 637;
const END: u32 = 728;

/// Splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// A whole number below a bound.
    fn below(&mut self, bound: f64) -> u32 {
        (self.uniform() * bound) as u32
    }
}

/// Days until the next purchase.
fn gap(kind: &str, drawn: f64, random: &mut Random) -> u32 {
    match kind {
        "subscribers" | "drawn" => 30,
        // A month, a fifth more or less.
        "jitter" => 24 + random.below(13.0),
        "regular" => 19 + random.below(3.0),
        "own_rhythm" => 10 + (50.0 * drawn) as u32,
        _ => {
            let mut days = 1;
            while random.uniform() >= 0.04 {
                days += 1;
            }
            days
        }
    }
}

/// The customers of a shop, and the purchases of the hold-out.
fn shop(kind: &str, seed: u64) -> (Vec<History>, f64) {
    let place = KINDS.iter().position(|one| *one == kind).expect("a kind") as u64;
    let mut random = Random(seed * 1000 + place);
    let mut later = 0.0;
    let mut customer = || {
        let (start, drawn) = (random.below(540.0), random.uniform());
        let leaves = match kind {
            "subscribers" => 0.06,
            "drawn" => 0.3 * drawn * drawn,
            "jitter" => 0.05,
            "poisson_leaving" => 0.08,
            _ => 0.0,
        };
        let (mut day, mut last, mut frequency) = (start, start, 0);
        while leaves == 0.0 || random.uniform() >= leaves {
            day += gap(kind, drawn, &mut random);
            if day <= CALIBRATION {
                (last, frequency) = (day, frequency + 1);
            } else if day <= END {
                later += 1.0;
            } else {
                break;
            }
        }
        let days = |to: u32| Span::days(f64::from(to - start));
        History::new(frequency, days(last), days(CALIBRATION)).expect("a history")
    };
    let customers = (0..CUSTOMERS).map(|_| customer()).collect();
    (customers, later)
}

/// What the hold-out is expected to bring.
fn expected(model: &PurchaseModel, customers: &[History]) -> f64 {
    let of = |one: &History| model.outlook(one).expected(Span::days(f64::from(END - CALIBRATION)));
    customers.iter().map(of).sum()
}

struct Shop {
    kind: &'static str,
    seed: u64,
    actual: f64,
    /// Log-likelihood and expected purchases of each model.
    exact: [(Kind, f64, f64); 4],
}

fn shops() -> Vec<Shop> {
    let rows = include_str!("alike.csv").lines().skip(1).map(|line| {
        let cells: Vec<&'static str> = line.split(',').collect();
        let number = |cell: usize| -> f64 { cells[cell].parse().expect("a number") };
        let kinds = [Kind::BgNbd, Kind::MbgNbd, Kind::ParetoNbd, Kind::Nbd];
        let exact = std::array::from_fn(|n| (kinds[n], number(3 + 2 * n), number(4 + 2 * n)));
        Shop { kind: cells[0], seed: cells[1].parse().expect("a seed"), actual: number(2), exact }
    });
    rows.collect()
}

/// Each model finds the highest likelihood and expects what it implies; so it is
/// as near to the hold-out as the model can be.
#[test]
fn every_model_finds_what_there_is_to_find() {
    let shops = shops();
    assert_eq!(shops.len(), 9 * KINDS.len());
    for Shop { kind, seed, actual, exact } in shops {
        let (customers, later) = shop(kind, seed);
        assert_eq!(later, actual, "{kind} {seed} are not the same customers");
        let counted = Histories::count(customers.iter().map(|one| (*one, 1)), Unit::Week);
        for (model, log_likelihood, purchases) in exact {
            // An error here is a log-likelihood of counts above 0.
            let found = fitted(model, &counted);
            let what = format!("{kind} {seed} {model}");
            assert!(found.converged, "{what}: {found:?}");
            let gain = found.log_likelihood - log_likelihood;
            assert!(gain > -1e-3, "{what}: {} below {log_likelihood}", found.log_likelihood);
            let ours = expected(&found.model, &customers);
            // The same maximum, unless a higher one was found.
            if gain < 1e-2 {
                assert!((ours / purchases - 1.0).abs() < 1e-3, "{what}: {ours}, not {purchases}");
            }
            if (purchases / actual - 1.0).abs() < 0.05 {
                assert!((ours / actual - 1.0).abs() < 0.05, "{what}: {ours} of {actual}");
            }
        }
    }
}

/// Subscribers who have been silent for four months are gone.
#[test]
fn silent_subscribers_are_gone() {
    for kind in ["subscribers", "drawn", "jitter"] {
        for seed in 1..=9 {
            let (customers, _) = shop(kind, seed);
            let counted = Histories::count(customers.iter().map(|one| (*one, 1)), Unit::Week);
            let found = fitted(Kind::MbgNbd, &counted);
            let silence =
                |one: &History| (one.age.in_unit(Unit::Day), one.recency.in_unit(Unit::Day));
            let silent = customers.iter().filter(|one| {
                let (age, recency) = silence(one);
                age - recency >= 120.0
            });
            let alive: Vec<f64> = silent.map(|one| found.model.p_alive(one)).collect();
            let mean = alive.iter().sum::<f64>() / alive.len() as f64;
            assert!(alive.len() > 100 && mean < 0.05, "{kind} {seed}: {mean} of {}", alive.len());
        }
    }
}

/// Where everybody buys at one rate, r and α are shown at their bound, and what
/// they say together is right; where everybody leaves alike, a and b.
#[test]
fn limits_are_shown_as_such() {
    let (customers, _) = shop("subscribers", 1);
    let counted = Histories::count(customers.iter().map(|one| (*one, 1)), Unit::Week);
    let found = fitted(Kind::MbgNbd, &counted);
    let [r, alpha, a, b] = found.estimates[..] else { panic!("four parameters") };
    assert!((r / 1e18 - 1.0).abs() < 1e-15, "{r}");
    assert!((0.2..0.25).contains(&(r / alpha)), "{r} {alpha}");
    assert!((0.04..0.08).contains(&(a / (a + b))), "{a} {b}");
    assert_eq!(found.standard_errors, None);
    // A model of the parameters that are shown says what the fitted one says.
    let shown = PurchaseModel::new(Kind::MbgNbd, &found.estimates, Unit::Week).expect("a model");
    let (ours, theirs) = (expected(&found.model, &customers), expected(&shown, &customers));
    assert!((ours / theirs - 1.0).abs() < 1e-12, "{ours} {theirs}");
}

/// Spend of which nothing varies has no highest likelihood; where only days
/// vary, or only customers, it has one, and what is expected is right.
#[test]
fn equal_spenders_are_refused_or_right() {
    let mut random = Random(5);
    let mut spend = |mean: &dyn Fn(u32, &mut Random) -> f64| -> Vec<Spend> {
        let mut all: Vec<Spend> = (0..800)
            .map(|_| {
                let x = 1 + random.below(6.0);
                Spend::new(x, mean(x, &mut random), 1).expect("spend")
            })
            .collect();
        all.sort_by_key(|one| one.frequency);
        all
    };
    assert!(alike(&spend(&|_, _| 29.99)));
    // Not the same bits, but the same price.
    assert!(alike(&spend(&|x, _| (29.99 * 7.0 * f64::from(x)) / (7.0 * f64::from(x)))));

    // Days vary evenly around one mean, customers not at all.
    let days = spend(&|x, random| {
        (0..x).map(|_| 20.0 + 20.0 * random.uniform()).sum::<f64>() / f64::from(x)
    });
    let mean = days.iter().map(|one| one.mean * f64::from(one.frequency)).sum::<f64>()
        / days.iter().map(|one| f64::from(one.frequency)).sum::<f64>();
    let found = GammaGamma::fit(&days);
    assert!(!alike(&days) && found.has_converged() && found.is_determined, "{found:?}");
    let [p, q, v] = found.parameters;
    assert!(q > 1e6, "{found:?}");
    let money = GammaGamma { p, q, v };
    for (x, own) in [(0.0, 0.0), (3.0, 37.0)] {
        let expected = money.expected(x, own).expect("a mean");
        assert!((expected / mean - 1.0).abs() < 1e-3, "{expected} is not {mean}");
    }

    // Customers vary, their days do not: all that is expected is their own.
    let customers = spend(&|_, random| {
        let hundredths = 1.0 + random.uniform() + random.uniform() + random.uniform();
        30.0 / hundredths
    });
    let found = GammaGamma::fit(&customers);
    assert!(found.has_converged() && found.is_determined, "{found:?}");
    let [p, q, v] = found.parameters;
    let money = GammaGamma { p, q, v };
    let expected = money.expected(2.0, 17.0).expect("a mean");
    assert!((expected / 17.0 - 1.0).abs() < 0.02, "{expected} {found:?}");

    // Two prices a cent apart are two prices.
    let cents = spend(&|_, random| if random.uniform() < 0.5 { 29.99 } else { 30.0 });
    let found = GammaGamma::fit(&cents);
    assert!(!alike(&cents) && found.has_converged(), "{found:?}");
    let [p, q, v] = found.parameters;
    let expected = GammaGamma { p, q, v }.expected(0.0, 0.0).expect("a mean");
    assert!((expected - 29.995).abs() < 0.002, "{expected} {found:?}");
}

/// A log-likelihood of counts is one in any unit.
#[test]
fn counts_have_no_probability_above_one() {
    let often = History::new(200, Span::weeks(38.0), Span::weeks(40.0)).expect("a history");
    let model = PurchaseModel::new(Kind::BgNbd, &[0.25, 4.0, 0.8, 2.5], Unit::Week);
    let density = model.expect("parameters").log_likelihood(&often);
    assert!(density > 100.0, "a density in time may be above 1");
    for unit in [Unit::Day, Unit::Week] {
        let counted = Histories::count([(often, 1)], unit);
        let scale = if unit == Unit::Week { 0.0 } else { -200.0 * 7_f64.ln() };
        let counts = density + scale + counted.log_volume();
        assert!((-36.0..-34.0).contains(&counts), "{counts}");
    }
}

/// Shops of one or two histories: whatever a fit makes of them, it is a number
/// that can be, and so is all that it foretells.
#[test]
fn odd_shops_give_what_can_be() {
    let of = |rows: &[(u32, f64, f64, u64)]| -> Vec<(History, u64)> {
        let history = |&(x, t_x, age, customers): &(u32, f64, f64, u64)| {
            let history = History::new(x, Span::days(t_x), Span::days(age));
            (history.expect("a history"), customers)
        };
        rows.iter().map(history).collect()
    };
    for shop in [
        of(&[(1, 30.0, 200.0, 600)]),
        of(&[(20, 200.0, 200.0, 600)]),
        of(&[(364, 364.0, 364.0, 600)]),
        of(&[(3000, 3000.0, 3000.0, 5)]),
        of(&[(1, 1.0, 700.0, 600)]),
        of(&[(0, 0.0, 0.0, 600), (1, 1.0, 1.0, 1)]),
        of(&[(0, 0.0, 100.0, 300), (50, 50.0, 50.0, 300)]),
        of(&[(0, 0.0, 400.0, 600), (2, 60.0, 400.0, 600), (12, 390.0, 400.0, 600)]),
    ] {
        for kind in Kind::ALL {
            let found = fitted(kind, &Histories::count(shop.iter().copied(), Unit::Week));
            let what = format!("{kind} of {shop:?}: {found:?}");
            // Who leaves at once or never leaves at a rate without a mean: that
            // search has no end, and the fit says that it did not come to rest.
            let may_be_refused = kind == Kind::ParetoNbd && shop.len() == 2;
            assert!(found.log_likelihood.is_finite(), "{what}");
            assert!(found.converged || may_be_refused, "{what}");
            for (history, _) in &shop {
                let outlook = found.model.outlook(history);
                let expected = outlook.expected(Span::days(91.0));
                assert!((0.0..=1.0).contains(&outlook.p_alive), "{what}");
                assert!((0.0..=91.0 * 2.0).contains(&expected), "{what} expects {expected}");
            }
        }
    }
}
