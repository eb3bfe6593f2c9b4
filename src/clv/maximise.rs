//! Maximum likelihood: argmin's BFGS over the logarithms of the parameters,
//! then Newton steps to the last digits, then a look at whether it is a
//! maximum at all.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::BFGS;
use libm::{exp, log};
use std::cell::Cell;

/// A log-likelihood of `N` positive parameters.
pub trait Likelihood<const N: usize> {
    /// The log-likelihood and its gradient by the parameters.
    fn evaluate(&self, parameters: &[f64; N]) -> (f64, [f64; N]);

    /// What it is a sum over: customers.
    fn observations(&self) -> f64;
}

/// Where a likelihood is highest.
#[derive(Debug, Clone)]
pub struct Maximum<const N: usize> {
    /// The parameters.
    pub parameters: [f64; N],
    /// The log-likelihood there.
    pub log_likelihood: f64,
    /// The steepest slope left: log-likelihood of a customer by the logarithm
    /// of a parameter.
    pub gradient: f64,
    /// Steps taken.
    pub iterations: u64,
    /// Covariance of the estimates, from the curvature; none where the surface
    /// is flat in some direction, so that it is no maximum in the strict sense.
    pub covariance: Option<[[f64; N]; N]>,
}

/// A slope that counts as none.
pub const FLAT: f64 = 1e-6;

/// A slope from which on Newton's steps are faster than BFGS.
const ROUGH: f64 = 1e-4;

/// How exactly a step is as long as it should be.
const WIDTH: f64 = 1e-3;

/// Points looked at by BFGS at most: a line search may go in circles where the
/// surface is flat to the last digit.
const POINTS_MAX: u32 = 400;

/// Steps of BFGS at most.
const STEPS_MAX: u64 = 200;

/// Newton's steps at most: each doubles the digits.
const POLISHING_MAX: usize = 8;

/// Logarithms of parameters are kept within this: beyond it a parameter has
/// gone to its limit, and the likelihood does not change any more.
const LOGARITHM_MAX: f64 = 46.0;

impl<const N: usize> Maximum<N> {
    /// Whether the search has come to rest.
    pub fn has_converged(&self) -> bool {
        self.gradient < FLAT
    }

    /// Standard errors of the parameters.
    pub fn standard_errors(&self) -> Option<[f64; N]> {
        let covariance = self.covariance.as_ref()?;
        Some(std::array::from_fn(|n| libm::sqrt(covariance[n][n])))
    }
}

/// Searches from the most likely of some starts; from the others, too, where
/// that leads to no certain maximum.
pub fn maximise<const N: usize>(
    likelihood: &impl Likelihood<N>,
    starts: &[[f64; N]],
) -> Maximum<N> {
    let mut starts: Vec<(f64, &[f64; N])> =
        starts.iter().map(|start| (likelihood.evaluate(start).0, start)).collect();
    starts.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut best: Option<Maximum<N>> = None;
    for (_, start) in starts {
        let found = climb(likelihood, start);
        let is_better = best.as_ref().is_none_or(|best| found.log_likelihood > best.log_likelihood);
        let is_certain = found.has_converged() && found.covariance.is_some();
        if is_better {
            best = Some(found);
        }
        if is_certain && is_better {
            break;
        }
    }
    best.unwrap_or_else(|| climb(likelihood, &[1.0; N]))
}

fn climb<const N: usize>(likelihood: &impl Likelihood<N>, start: &[f64; N]) -> Maximum<N> {
    let surface = Surface {
        likelihood,
        last: Cell::default(),
        best: Cell::default(),
        points: Cell::default(),
    };
    let mut at = start.map(log);
    let mut steps = descend(&surface, &mut at, ROUGH) + polish(&surface, &mut at);
    if surface.point(at).slope() >= FLAT {
        // A ridge, on which Newton's steps lead nowhere.
        steps += descend(&surface, &mut at, FLAT / 2.0) + polish(&surface, &mut at);
    }
    // Beyond its limit a parameter has not been looked at.
    at = at.map(|value| value.clamp(-LOGARITHM_MAX, LOGARITHM_MAX));
    let here = surface.point(at);
    let curvature = surface.curvature(&at);
    Maximum {
        parameters: at.map(exp),
        log_likelihood: -here.cost * likelihood.observations(),
        gradient: here.slope(),
        iterations: steps,
        covariance: covariance(&curvature, likelihood.observations(), &at),
    }
}

/// BFGS from a point until the slope is small, or nothing more is to be gained.
fn descend<const N: usize>(
    surface: &Surface<'_, impl Likelihood<N>, N>,
    at: &mut [f64; N],
    slope: f64,
) -> u64 {
    surface.points.set(0);
    let origin = at.to_vec();
    let identity = (0..N).map(|row| (0..N).map(|n| f64::from(u8::from(n == row))).collect());
    let identity: Vec<Vec<f64>> = identity.collect();
    let search = MoreThuenteLineSearch::new().with_width_tolerance(WIDTH);
    let solver = search.and_then(|search| {
        let solver = BFGS::new(search).with_tolerance_grad(slope)?;
        solver.with_tolerance_cost(0.0)
    });
    let steps = solver.ok().and_then(|solver| {
        let executor = Executor::new(surface, solver)
            .configure(|state| state.param(origin).inv_hessian(identity).max_iters(STEPS_MAX));
        // A line search that gives up leaves the best point it has seen.
        executor.run().ok().map(|result| result.state().get_iter())
    });
    if let Some(best) = surface.best.get() {
        *at = best.at;
    }
    steps.unwrap_or(0)
}

/// Newton's steps while each makes the slope smaller.
fn polish<const N: usize>(surface: &Surface<'_, impl Likelihood<N>, N>, at: &mut [f64; N]) -> u64 {
    let mut steps = 0;
    for _ in 0..POLISHING_MAX {
        let here = surface.point(*at);
        if here.slope() < 1e-12 {
            break;
        }
        let curvature = surface.rough_curvature(&here);
        // On a ridge, a little bent where it is flat: along it there is no slope.
        let factor = cholesky(&curvature).or_else(|| cholesky(&bent(&curvature)));
        let Some(factor) = factor else { break };
        let step = solve(&factor, &here.gradient);
        let next = surface.point(std::array::from_fn(|n| at[n] - step[n]));
        let is_flatter = next.slope() < here.slope();
        if !is_flatter || next.cost > here.cost + 1e-12 * here.cost.abs() {
            break;
        }
        *at = next.at;
        steps += 1;
    }
    steps
}

/// The negative log-likelihood of a customer, on average, over the logarithms
/// of the parameters.
struct Surface<'a, L, const N: usize> {
    likelihood: &'a L,
    /// The last point looked at: value and slope are asked for one by one.
    last: Cell<Option<Point<N>>>,
    /// The lowest point seen.
    best: Cell<Option<Point<N>>>,
    /// How many points have been looked at.
    points: Cell<u32>,
}

#[derive(Clone, Copy)]
struct Point<const N: usize> {
    at: [f64; N],
    cost: f64,
    gradient: [f64; N],
}

impl<const N: usize> Point<N> {
    fn slope(&self) -> f64 {
        self.gradient.iter().fold(0.0, |steepest, slope| f64::max(steepest, slope.abs()))
    }
}

impl<L: Likelihood<N>, const N: usize> Surface<'_, L, N> {
    fn point(&self, at: [f64; N]) -> Point<N> {
        if let Some(last) = self.last.get()
            && last.at == at
        {
            return last;
        }
        self.points.set(self.points.get() + 1);
        let parameters = at.map(|value| exp(value.clamp(-LOGARITHM_MAX, LOGARITHM_MAX)));
        let (sum, slopes) = self.likelihood.evaluate(&parameters);
        let customers = self.likelihood.observations();
        let within = |n: usize| at[n].abs() <= LOGARITHM_MAX;
        let gradient = std::array::from_fn(|n| {
            if within(n) { -slopes[n] * parameters[n] / customers } else { 0.0 }
        });
        let mut point = Point { at, cost: -sum / customers, gradient };
        if !point.cost.is_finite() || point.gradient.iter().any(|slope| !slope.is_finite()) {
            point.cost = f64::MAX.sqrt();
            point.gradient = [0.0; N];
        }
        self.last.set(Some(point));
        if self.best.get().is_none_or(|best| point.cost < best.cost) {
            self.best.set(Some(point));
        }
        point
    }

    /// Second derivatives to some five digits, at half the price: Newton's
    /// steps need no more.
    fn rough_curvature(&self, here: &Point<N>) -> [[f64; N]; N] {
        let width = 1e-5;
        let rows = std::array::from_fn(|n| {
            let mut there = here.at;
            there[n] += width;
            let ahead = self.point(there).gradient;
            std::array::from_fn(|m| (ahead[m] - here.gradient[m]) / width)
        });
        symmetric(&rows)
    }

    /// Second derivatives, from differences of the analytic first ones.
    fn curvature(&self, at: &[f64; N]) -> [[f64; N]; N] {
        let width = 1e-4;
        let mut rows = [[0.0; N]; N];
        for n in 0..N {
            let mut there = *at;
            there[n] = at[n] + width;
            let ahead = self.point(there).gradient;
            there[n] = at[n] - width;
            let behind = self.point(there).gradient;
            rows[n] = std::array::from_fn(|m| (ahead[m] - behind[m]) / (2.0 * width));
        }
        symmetric(&rows)
    }
}

/// A matrix with a thousandth of its largest entry on its diagonal.
fn bent<const N: usize>(matrix: &[[f64; N]; N]) -> [[f64; N]; N] {
    let mut bent = *matrix;
    let largest = (0..N).fold(0.0, |largest, n| f64::max(largest, matrix[n][n].abs()));
    for (n, row) in bent.iter_mut().enumerate() {
        row[n] += 1e-3 * largest;
    }
    bent
}

fn symmetric<const N: usize>(rows: &[[f64; N]; N]) -> [[f64; N]; N] {
    std::array::from_fn(|n| std::array::from_fn(|m| (rows[n][m] + rows[m][n]) / 2.0))
}

impl<L: Likelihood<N>, const N: usize> CostFunction for &Surface<'_, L, N> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Self::Param) -> Result<f64, argmin::core::Error> {
        if self.points.get() >= POINTS_MAX {
            return Err(argmin::core::Error::msg("too many points"));
        }
        Ok(self.point(std::array::from_fn(|n| at[n])).cost)
    }
}

impl<L: Likelihood<N>, const N: usize> Gradient for &Surface<'_, L, N> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Self::Param) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.point(std::array::from_fn(|n| at[n])).gradient.to_vec())
    }
}

/// The inverse of the information; by the parameters themselves, since where
/// the slope is none the logarithm only scales.
fn covariance<const N: usize>(
    curvature: &[[f64; N]; N],
    customers: f64,
    at: &[f64; N],
) -> Option<[[f64; N]; N]> {
    let factor = cholesky(curvature)?;
    let mut inverse = [[0.0; N]; N];
    for n in 0..N {
        let unit = std::array::from_fn(|m| f64::from(u8::from(m == n)));
        let column = solve(&factor, &unit);
        for m in 0..N {
            inverse[m][n] = column[m] * exp(at[m] + at[n]) / customers;
        }
    }
    Some(inverse)
}

/// The lower factor of a matrix that is positive definite by more than the
/// error of its entries; none of another.
fn cholesky<const N: usize>(matrix: &[[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut factor = [[0.0; N]; N];
    let largest = (0..N).fold(0.0, |largest, n| f64::max(largest, matrix[n][n].abs()));
    for n in 0..N {
        for m in 0..=n {
            let known: f64 = (0..m).map(|k| factor[n][k] * factor[m][k]).sum();
            let rest = matrix[n][m] - known;
            if n == m {
                // Also where it is no number.
                if rest.is_nan() || rest <= 1e-9 * largest {
                    return None;
                }
                factor[n][n] = libm::sqrt(rest);
            } else {
                factor[n][m] = rest / factor[m][m];
            }
        }
    }
    Some(factor)
}

fn solve<const N: usize>(factor: &[[f64; N]; N], right: &[f64; N]) -> [f64; N] {
    let mut solution = *right;
    for n in 0..N {
        let known: f64 = (0..n).map(|k| factor[n][k] * solution[k]).sum();
        solution[n] = (solution[n] - known) / factor[n][n];
    }
    for n in (0..N).rev() {
        let known: f64 = (n + 1..N).map(|k| factor[k][n] * solution[k]).sum();
        solution[n] = (solution[n] - known) / factor[n][n];
    }
    solution
}
