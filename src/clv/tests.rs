//! Published values, values of forty digits, and properties that must hold for
//! any parameters and any history.

mod alike;
mod limits;
mod recovery;

use proptest::prelude::*;

use super::chances::Chances;
use super::process::{Process, negative_binomial};
use super::rates::Rates;
use super::*;

fn model(kind: Kind, parameters: &[f64]) -> PurchaseModel {
    PurchaseModel::new(kind, parameters, Unit::Week).expect("parameters")
}

fn fitted(kind: Kind, histories: &Histories) -> PurchaseFit {
    fit(kind, histories).expect("a likelihood that can be")
}

fn weeks(frequency: u32, recency: f64, age: f64) -> History {
    History::new(frequency, Span::weeks(recency), Span::weeks(age)).expect("a history")
}

fn close(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance * want.abs(), "{got} is not {want}");
}

/// CDNOW, fitted by two independent programs.
const BG_CDNOW: [f64; 4] = [0.242_594_53, 4.413_602_29, 0.792_921_94, 2.425_906_46];
const PARETO_CDNOW: [f64; 4] = [0.553_276_98, 10.577_682_13, 0.606_240_02, 11.668_736_39];

/// Fader, Hardie and Lee (2005a), and the same by two programs.
#[test]
fn what_is_published_of_cdnow() {
    let bg = model(Kind::BgNbd, &BG_CDNOW);
    let new = |t| bg.newcomer().expected(Span::weeks(t));
    close(new(1.0), 0.053_184_3, 1e-6);
    close(new(39.0), 1.195_010_0, 1e-7);
    close(new(52.0), 1.444_012_3, 1e-7);
    close(new(78.0), 1.857_958_3, 1e-7);
    let often = weeks(26, 216.0 / 7.0, 31.0);
    close(bg.outlook(&often).expected(Span::weeks(52.0)), 25.75734, 1e-6);
    close(bg.p_alive(&often), 0.968_854_4, 1e-7);
    close(bg.outlook(&weeks(2, 30.43, 38.86)).expected(Span::weeks(39.0)), 1.2259, 1e-4);
    let pareto = model(Kind::ParetoNbd, &PARETO_CDNOW);
    close(pareto.newcomer().expected(Span::weeks(52.0)), 1.473_434_3, 1e-7);
    close(pareto.outlook(&often).expected(Span::weeks(52.0)), 25.456, 5e-5);
    close(pareto.p_alive(&often), 0.99787, 1e-5);
    let residual = pareto.outlook(&weeks(2, 213.0 / 7.0, 272.0 / 7.0));
    let discounted = residual.expected_discounted(0.15, Span::weeks(52.0));
    close(discounted.expect("a discount"), 6.500_351_87, 1e-6);
    assert_eq!(residual.expected_discounted(0.0, Span::weeks(52.0)), None);
}

/// A program prints 140.096: its model is in weeks, the horizon in days.
#[test]
fn days_and_weeks_are_not_mixed() {
    let bg = model(Kind::BgNbd, &BG_CDNOW);
    let customer = weeks(2, 213.0 / 7.0, 272.0 / 7.0);
    let spend = GammaGamma { p: 6.249_572_29, q: 3.744_224_58, v: 15.443_520_42 };
    let spend = spend.expected(2.0, 22.345).expect("a mean");
    close(spend, 24.653_919, 1e-6);
    let month = Span::weeks(4.345);
    let terms = Terms { horizon: Span::weeks(12.0 * 4.345), month, monthly: 0.01 };
    close(terms.discounted(&bg.outlook(&customer)) * spend, 36.273_977, 1e-6);
    // The same customer in days, of a model in days, is worth the same.
    let [r, alpha, a, b] = BG_CDNOW;
    let in_days = PurchaseModel::new(Kind::BgNbd, &[r, 7.0 * alpha, a, b], Unit::Day);
    let in_days = in_days.expect("parameters").outlook(&customer);
    close(terms.discounted(&in_days) * spend, 36.273_977, 1e-6);
}

/// The values come from 40-digit arithmetic.
#[test]
fn hard_cases() {
    let bg = model(Kind::BgNbd, &[0.11, 2.24, 0.31, 0.50]);
    let one = bg.outlook(&weeks(0, 0.0, 1.0));
    close(one.expected(Span::weeks(30.0)), 0.564_588_615_532_785, 1e-13);
    let pareto = model(Kind::ParetoNbd, &[0.55, 10.58, 0.61, 11.67]);
    let one = pareto.outlook(&weeks(132, 200.0, 200.0));
    close(one.expected(Span::weeks(10.0)), 6.206_051_788_962_932, 1e-13);
    let pareto = model(Kind::ParetoNbd, &[0.5143, 2.8845, 0.2856, 14.1087]);
    close(pareto.p_alive(&weeks(221, 103.42857, 103.57143)), 0.999_596_052_317_94, 1e-13);
    close(pareto.p_alive(&weeks(161, 94.71429, 98.0)), 0.749_487_752_258_11, 1e-13);
    let bg = model(Kind::BgNbd, &BG_CDNOW);
    assert_eq!(bg.p_alive(&weeks(1000, 10.0, 100.0)), 0.0);
    for (kind, never, often) in [
        (Kind::BgNbd, -0.599_473_818_2, 100.795_693_093),
        (Kind::MbgNbd, -0.417_928_262_045, 100.786_909_761),
    ] {
        let one = model(kind, &[0.25, 4.0, 0.8, 2.5]);
        close(one.log_likelihood(&weeks(0, 0.0, 40.0)), never, 1e-10);
        close(one.log_likelihood(&weeks(200, 38.0, 40.0)), often, 1e-11);
    }
}

/// E[(1 − (1 + pu)^(−r)) / p] for p ~ Beta(a, b), by quadrature with 50 digits.
#[test]
fn purchases_of_the_living() {
    for (r, u, a, b, want) in [
        (0.25, 10.0, 0.8, 2.5, 1.340_390_445_321_192),
        (0.25, 1e6, 0.8, 2.5, 75.591_955_647_543_46),
        (26.25, 1.5, 0.8, 28.5, 26.942_907_139_786_595),
        (132.0, 0.5, 1.0, 3.0, 9.880_131_651_039_408),
        (1000.0, 20.0, 0.8, 1002.0, 4_196.472_252_505_867),
        (0.1, 1e-6, 0.5, 0.5, 9.999997250001443e-08),
        (2.0, 50.0, 5000.0, 7000.0, 2.395_242_069_533_639_4),
        (3.0, 1e4, 0.05, 0.02, 5_215.472_220_804_346),
    ] {
        let (rates, chances) = (Rates::new(r, 1.0), Chances::new(a, b));
        let process = Process::AfterPurchase { rates, chances };
        close(process.expected(u), want, 2e-12);
    }
}

/// A program's own tests give BG/NBD's numbers for MBG/NBD.
#[test]
fn mbg_is_not_bg() {
    let mbg = model(Kind::MbgNbd, &[0.243, 4.414, 0.793, 2.426]);
    let none = mbg.newcomer().cumulative(Span::weeks(39.0), 0.0)[0];
    close(none, 0.678_783_998_193_513_1, 1e-14);
    let bg = model(Kind::BgNbd, &[0.243, 4.414, 0.793, 2.426]);
    assert!((bg.newcomer().cumulative(Span::weeks(39.0), 0.0)[0] - none).abs() > 0.05);
}

/// Fader, Hardie and Shang (2010), table 1: donations in six years.
#[test]
fn donations() {
    let table = [
        (6, 6, 1203),
        (5, 6, 728),
        (4, 6, 512),
        (3, 6, 357),
        (2, 6, 234),
        (1, 6, 129),
        (5, 5, 335),
        (4, 5, 284),
        (3, 5, 225),
        (2, 5, 173),
        (1, 5, 119),
        (4, 4, 240),
        (3, 4, 181),
        (2, 4, 155),
        (1, 4, 78),
        (3, 3, 322),
        (2, 3, 255),
        (1, 3, 129),
        (2, 2, 613),
        (1, 2, 277),
        (1, 1, 1091),
        (0, 0, 3464),
    ];
    let donors: Result<Vec<_>> = table
        .iter()
        .map(|(taken, last, donors)| Opportunities::new(*taken, *last, 6, *donors))
        .collect();
    let found = BgBb::fit(&donors.expect("a table"));
    close(found.log_likelihood, -33_225.581_274, 1e-10);
    let published = [1.203_522_22, 0.749_716_29, 0.656_718_23, 2.783_442_51];
    for (got, want) in found.parameters.iter().zip(published) {
        close(*got, want, 1e-6);
    }
    assert!(found.standard_errors().is_some());
    let [alpha, beta, gamma, delta] = found.parameters;
    let model = BgBb { alpha, beta, gamma, delta };
    // Of the same paper: who gave every year gives 3.75 times in five years.
    close(model.expected(6, 6, 6, 5), 3.75, 2e-3);
    assert!(model.p_alive(0, 0, 6) > 0.0 && model.p_alive(6, 6, 6) < 1.0);
    let of = |n| model.probability(3, 4, 6, n, 5);
    let (all, mean): (f64, f64) =
        (0..=5).fold((0.0, 0.0), |(all, mean), n| (all + of(n), mean + f64::from(n) * of(n)));
    close(all, 1.0, 1e-13);
    close(mean, model.expected(3, 4, 6, 5), 1e-12);
    // A discount so high that only the next opportunity counts.
    let next = model.expected_discounted(3, 4, 6, 1e12).expect("a discount") * 1e12;
    close(next, model.expected(3, 4, 6, 1), 1e-9);
    assert!(model.expected_discounted(3, 4, 6, 0.1) > model.expected_discounted(3, 4, 6, 0.2));
}

/// Without dropping out, purchases are negative binomial.
#[test]
fn distributions_agree_with_their_own_formula() {
    let (r, u) = (1.7, 3.2);
    let cumulative = Process::Lasting { rates: Rates::new(r, 1.0) }.cumulative(u, 0.999_999);
    let mut sum = 0.0;
    for (n, below) in cumulative.iter().enumerate() {
        sum += negative_binomial(n as f64, r, u);
        close(*below, sum, 1e-13);
    }
}

#[test]
fn a_history_that_cannot_be_is_refused() {
    let refused = |frequency, recency, age| {
        let history = History::new(frequency, Span::days(recency), Span::days(age));
        history.expect_err("no history").to_string()
    };
    assert!(refused(1, 5.0, 4.0).contains("behind the end"));
    assert!(refused(0, 5.0, 9.0).contains("contradict"));
    assert!(refused(2, 0.0, 9.0).contains("contradict"));
    assert!(refused(2, f64::NAN, 9.0).contains("no history"));
    assert!(PurchaseModel::new(Kind::BgNbd, &[1.0, 1.0, 0.0, 1.0], Unit::Day).is_none());
    assert!(Spend::new(0, 3.0, 1).is_err() && Spend::new(1, 0.0, 1).is_err());
}

/// From 1e-4 to 1e5, evenly in the logarithm.
fn parameter() -> impl Strategy<Value = f64> {
    (-4.0..5.0_f64).prop_map(|power| 10_f64.powf(power))
}

fn history() -> impl Strategy<Value = History> {
    (0_u32..2000, 0.001..1.0_f64, 0.1..5000.0_f64).prop_map(|(frequency, share, age)| {
        let recency = if frequency == 0 { 0.0 } else { share * age };
        History::new(frequency, Span::days(recency), Span::days(age)).expect("a history")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No parameters and no history lead outside of what can be.
    #[test]
    fn everything_stays_possible(
        parameters in [parameter(), parameter(), parameter(), parameter()],
        one in history(),
        within in 0.01..5000.0_f64,
    ) {
        for kind in Kind::ALL {
            let count = kind.parameters().len();
            let model = model(kind, &parameters[..count]);
            let p_alive = model.p_alive(&one);
            prop_assert!((0.0..=1.0).contains(&p_alive), "{kind}: alive {p_alive}");
            let likelihood = model.log_likelihood(&one);
            prop_assert!(likelihood.is_finite(), "{kind}: likelihood {likelihood}");
            let outlook = model.outlook(&one);
            let expected = outlook.expected(Span::days(within));
            prop_assert!(expected >= 0.0 && expected.is_finite(), "{kind}: {expected}");
            let longer = outlook.expected(Span::days(within * 1.5));
            prop_assert!(longer >= expected * (1.0 - 1e-9), "{kind}: {longer} < {expected}");
        }
    }

    /// Probabilities of purchases rise to 1, and their mean is what is expected.
    #[test]
    fn distributions_have_their_mean(
        r in 0.2..5.0_f64,
        alpha in 1.0..20.0_f64,
        one in 0.3..5.0_f64,
        other in 1.0..30.0_f64,
        within in 1.0..60.0_f64,
    ) {
        let rates = Rates::new(r, alpha);
        for process in [
            Process::Lasting { rates },
            Process::AfterPurchase { rates, chances: Chances::new(one, other) },
            Process::AtAnyTime { rates, dropout: Rates::new(one, other) },
        ] {
            let cumulative = process.cumulative(within, 1.0 - 1e-13);
            prop_assert!(cumulative.windows(2).all(|pair| pair[0] <= pair[1]));
            let mean: f64 = cumulative.iter().map(|below| 1.0 - below).sum();
            let expected = process.expected(within);
            prop_assert!((mean - expected).abs() < 1e-6 * expected, "{mean} {expected}");
        }
    }

    /// The order of customers does not change a bit, nor does counting them.
    #[test]
    fn a_fit_is_deterministic(seed in 0_u64..1000) {
        let customers = some_customers(seed);
        let mut reversed = customers.clone();
        reversed.reverse();
        let fit = |customers: Vec<(History, u64)>| {
            fitted(Kind::BgNbd, &Histories::count(customers, Unit::Week)).estimates
        };
        prop_assert_eq!(fit(customers), fit(reversed));
    }
}

/// A few customers whose histories differ.
fn some_customers(seed: u64) -> Vec<(History, u64)> {
    let customers = (0..60_u64).map(|number| {
        let mixed = (number * 7919 + seed * 104_729) % 1000;
        let frequency = u32::try_from(mixed % 5).unwrap_or(0);
        let age = 200.0 + (mixed % 83) as f64;
        let recency = if frequency == 0 { 0.0 } else { 1.0 + (mixed % 190) as f64 };
        let history = History::new(frequency, Span::days(recency), Span::days(age));
        (history.expect("a history"), 1 + mixed % 3)
    });
    customers.collect()
}
