//! Likelihoods and slopes along the limits in which customers are alike, against
//! arithmetic of 70 to 110 digits (`limits.csv`, made by `limits.py` with mpmath
//! from the formulas as their authors print them, over r, α, a and b).

use super::super::beta_geometric::{BetaGeometric, BetaGeometricLikelihood};
use super::super::chances::Chances;
use super::super::maximise::Likelihood;
use super::super::nbd::{Nbd, NbdLikelihood};
use super::super::pareto_nbd::{ParetoLikelihood, ParetoNbd};
use super::super::process::Process;
use super::super::rates::Rates;
use super::super::{Histories, History, Kind, PurchaseModel, Span, Spend, Unit};
use super::close;

/// Relative, of values and of slopes.
const TOLERANCE: f64 = 1e-9;

/// A slope below this is none.
const NO_SLOPE: f64 = 1e-30;

/// A row of the file: where, of whom, and what.
struct Case {
    model: String,
    point: Vec<f64>,
    history: Vec<f64>,
    value: f64,
    slopes: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let rows = include_str!("limits.csv").lines().skip(1).map(|line| {
        let numbers = |text: &str| -> Vec<f64> {
            text.split(' ').map(|cell| cell.parse().expect("a number")).collect()
        };
        let cells: Vec<&str> = line.split(';').collect();
        Case {
            model: cells[0].into(),
            point: numbers(cells[1]),
            history: numbers(cells[2]),
            value: numbers(cells[3])[0],
            slopes: numbers(cells[4]),
        }
    });
    rows.collect()
}

fn evaluated<const N: usize>(likelihood: &impl Likelihood<N>, point: &[f64]) -> (f64, Vec<f64>) {
    let (value, slopes) = likelihood.evaluate(point.try_into().expect("coordinates"));
    (value, slopes.to_vec())
}

/// One customer's likelihood and its slopes, as a fit sees them, and the value
/// as one asks a model for it.
fn of(case: &Case) -> (f64, Vec<f64>, f64) {
    let point = &case.point;
    if case.model == "gamma_gamma" {
        let [x, mean] = case.history[..] else { panic!("x and a mean") };
        let spend = [Spend::new(x as u32, mean, 1).expect("spend")];
        let (value, slopes) =
            evaluated(&super::super::gamma_gamma::SpendLikelihood { spend: &spend }, point);
        let [scale, days, others] = point[..] else { panic!("three coordinates") };
        let (p, q) = (1.0 / days, 1.0 / others);
        let alone = super::super::GammaGamma { p, q, v: scale * (q / p) };
        return (value, slopes, alone.log_likelihood(x, mean));
    }
    let [x, t_x, age] = case.history[..] else { panic!("x, t_x and T") };
    let kind = Kind::parse(&case.model).expect("a model");
    let history = History::new(x as u32, Span::days(t_x), Span::days(age)).expect("a history");
    let histories = &Histories::count([(history, 1)], Unit::Day);
    let at = |n: usize| point[n];
    let (value, slopes, alone) = match kind {
        Kind::Nbd => {
            let alone = Nbd::at(&[at(0), at(1)]).log_likelihood(x, age);
            let (value, slopes) = evaluated(&NbdLikelihood { histories }, point);
            (value, slopes, alone)
        }
        Kind::ParetoNbd => {
            let model = ParetoNbd::at(&[at(0), at(1), at(2), at(3)]);
            let (value, slopes) = evaluated(&ParetoLikelihood { histories }, point);
            (value, slopes, model.log_likelihood(x, t_x, age))
        }
        Kind::BgNbd | Kind::MbgNbd => {
            let from_first = kind == Kind::MbgNbd;
            let model = BetaGeometric::at(&[at(0), at(1), at(2), at(3)], from_first);
            let likelihood = BetaGeometricLikelihood { histories, from_first };
            let (value, slopes) = evaluated(&likelihood, point);
            (value, slopes, model.log_likelihood(x, t_x, age))
        }
    };
    (value, slopes, alone)
}

#[test]
fn likelihoods_and_slopes_are_those_of_many_digits() {
    let mut worst = (0.0, String::new());
    for case in cases() {
        let (value, slopes, alone) = of(&case);
        let mut near = |what: &str, got: f64, want: f64, scale: f64| {
            let error = (got - want).abs() / scale;
            let text = format!(
                "{} at {:?} of {:?}, {what}: {got} is not {want}",
                case.model, case.point, case.history
            );
            assert!(error <= TOLERANCE, "{text}");
            if error > worst.0 {
                worst = (error, text);
            }
        };
        near("value", value, case.value, case.value.abs());
        near("value alone", alone, case.value, case.value.abs());
        for (n, (got, want)) in slopes.iter().zip(&case.slopes).enumerate() {
            let scale = want.abs().max(NO_SLOPE / TOLERANCE);
            near(&format!("slope {n}"), *got, *want, scale);
        }
    }
    println!("the largest relative error is {:e}: {}", worst.0, worst.1);
}

/// What the future brings where customers are alike, by formulas of the limits
/// and by quadrature of 40 digits near them.
#[test]
fn the_future_is_right_at_the_limits_and_near_them() {
    let one_rate = |mean| Rates { mean, kappa: 0.0 };
    let one_chance = Chances { p: 0.05, q: 0.95, phi: 0.0 };
    let of_one = |mean| Process::AfterPurchase { rates: one_rate(mean), chances: one_chance };
    close(of_one(0.23).expected(52.0), 9.001_792_845_567_97, 1e-13);
    close(of_one(2.5).expected(1000.0), 20.0, 1e-13);
    let near = |mean, a, b| {
        let rates = Rates::new(1e8, 1e8 / mean);
        Process::AfterPurchase { rates, chances: Chances::new(a, b) }
    };
    close(near(0.23, 0.96, 8.6).expected(52.0), 7.785_532_748_903_161, 1e-12);
    close(near(0.23, 5e6, 95e6).expected(52.0), 9.001_792_912_992_023, 1e-12);
    close(near(3.0, 0.96, 8.6).expected(1000.0), 57.165_909_030_870_79, 1e-11);
    close(near(3.0, 5e9, 95e9).expected(1000.0), 20.000_000_003_8, 1e-11);
    let discount = libm::log(1.15) / 52.0;
    let discounted = |process: Process| process.expected_discounted(discount).expect("a discount");
    close(discounted(of_one(0.23)), 16.211_191_324_800_31, 1e-10);

    let leaving =
        |mean, drop| Process::AtAnyTime { rates: one_rate(mean), dropout: one_rate(drop) };
    close(leaving(0.23, 0.03).expected(52.0), 6.055_623_454_127_47, 1e-13);
    let (rates, dropout) = (Rates::new(1e8, 1e8 / 0.23), Rates::new(1e8, 1e8 / 0.03));
    let near = Process::AtAnyTime { rates, dropout };
    close(near.expected(52.0), 6.055_623_469_948_257, 1e-13);
    close(discounted(leaving(0.23, 0.03)), 7.036_279_435_276_519, 1e-10);

    let nobody = Process::Lasting { rates: one_rate(0.23) };
    close(nobody.expected(52.0), 11.96, 1e-14);
    for (process, within, wants) in [
        (
            of_one(0.23),
            52.0,
            [6.394_962_416_269_97e-6, 0.242_357_534_733_926_2, 0.995_979_369_531_017_2],
        ),
        (
            leaving(0.23, 0.03),
            52.0,
            [0.115_385_804_141_630_21, 0.524_443_002_445_378, 0.997_291_882_641_833_5],
        ),
        (leaving(3.0, 0.2), 100.0, [0.0625, 0.321_065_843_105_316_16, 0.742_132_384_479_684_7]),
    ] {
        let cumulative = process.cumulative(within, 0.999_99);
        for (n, want) in [0, 5, 20].into_iter().zip(wants) {
            close(cumulative[n], want, 1e-11);
        }
    }
}

/// Being alive, where r is 1e8, and where it is 1e18 and a and b are.
#[test]
fn silence_tells_at_the_limits() {
    let p_alive = |parameters: &[f64; 4], t_x: f64| {
        let model = PurchaseModel::new(Kind::MbgNbd, parameters, Unit::Week).expect("a model");
        let history = History::new(14, Span::weeks(t_x), Span::weeks(77.0)).expect("a history");
        model.p_alive(&history)
    };
    close(p_alive(&[1e8, 1e8 / 0.23, 0.96, 8.6], 60.0), 0.320_553_778_007_334_5, 1e-12);
    close(p_alive(&[1e18, 1e18 / 0.23, 5e16, 95e16], 60.0), 0.275_766_168_509_111_9, 1e-12);
}
