//! Maximum likelihood: argmin's BFGS over the logarithms of the coordinates,
//! then Newton steps to the last digits, then a look at whether it is a
//! maximum at all, and if not, at the limits where one may be.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::BFGS;
use libm::{exp, log};
use std::cell::Cell;
use std::cmp::Ordering;

use super::matrix::{bent, cholesky, inverse, largest, product, solve, symmetric, transposed};

/// A log-likelihood of `N` positive coordinates.
pub trait Likelihood<const N: usize> {
    /// The log-likelihood and its slopes by the logarithms of the coordinates.
    fn evaluate(&self, at: &[f64; N]) -> (f64, [f64; N]);

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
    /// of a coordinate.
    pub gradient: f64,
    /// Steps taken.
    pub iterations: u64,
    /// Covariance of the logarithms of the estimates, from the curvature; none
    /// where the surface is flat in some direction, so that it is no maximum in
    /// the strict sense.
    pub covariance: Option<[[f64; N]; N]>,
    /// Whether it is a strict maximum but for coordinates that have gone to a
    /// limit: what the model predicts is then determined.
    pub is_determined: bool,
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

/// The logarithm of 1e18, which is what a coordinate is set to that has gone to
/// its limit: the likelihood knows no difference.
const LIMIT: f64 = 41.446_531_673_892_82;

/// A customer's log-likelihood by which a limit may be worse before the other
/// coordinates have followed.
const WORTH_TRYING: f64 = 0.01;

/// A step that is as good as none.
const STEP_MAX: f64 = 0.01;

/// The cost of a point at which the likelihood is no number.
const WALL: f64 = 1e154;

/// What rounding may take from a log-likelihood, as a share of it.
const ROUNDING: f64 = 1e-12;

impl<const N: usize> Maximum<N> {
    /// Whether the search has come to rest.
    pub fn has_converged(&self) -> bool {
        self.gradient < FLAT
    }

    /// Standard errors of the parameters.
    pub fn standard_errors(&self) -> Option<[f64; N]> {
        let covariance = self.covariance.as_ref()?;
        Some(std::array::from_fn(|n| self.parameters[n] * libm::sqrt(covariance[n][n])))
    }

    /// The same maximum in other parameters, given the slopes of their
    /// logarithms by those of the present ones.
    pub(super) fn in_parameters(self, parameters: [f64; N], slopes: &[[f64; N]; N]) -> Self {
        let covariance = self.covariance.map(|covariance| {
            let half = product(slopes, &covariance);
            product(&half, &transposed(slopes))
        });
        Self { parameters, covariance, ..self }
    }

    fn is_certain(&self) -> bool {
        self.has_converged() && self.covariance.is_some()
    }
}

/// Searches from the most likely of some starts; from the others, too, and at
/// the limits, where that leads to no certain maximum.
pub fn maximise<const N: usize>(
    likelihood: &impl Likelihood<N>,
    starts: &[[f64; N]],
) -> Maximum<N> {
    let free = [false; N];
    let mut starts: Vec<(f64, &[f64; N])> =
        starts.iter().map(|start| (likelihood.evaluate(start).0, start)).collect();
    starts.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut best: Option<Maximum<N>> = None;
    for (_, start) in starts {
        // One that has come to rest is passed soon or never.
        let least = best.as_ref().filter(|best| best.has_converged());
        let least = least.map_or(f64::NEG_INFINITY, |best| best.log_likelihood);
        let found = climb(likelihood, start.map(log), free, least);
        let is_better = best.as_ref().is_none_or(|best| found.log_likelihood > best.log_likelihood);
        let is_certain = found.is_certain();
        if is_better {
            best = Some(found);
        }
        if is_certain && is_better {
            break;
        }
    }
    let best = best.unwrap_or_else(|| climb(likelihood, [0.0; N], free, f64::NEG_INFINITY));
    if best.is_certain() { best } else { settle(likelihood, best) }
}

/// Takes coordinates to where they are going: one after the other is held at a
/// limit, or at 1 where it has no influence, if that is no less likely. A
/// search over logarithms only comes near a limit, and stops where the slope is
/// small.
fn settle<const N: usize>(likelihood: &impl Likelihood<N>, found: Maximum<N>) -> Maximum<N> {
    let mut best = found;
    let mut held = [false; N];
    for n in 0..N {
        for limit in [0.0, -LIMIT, LIMIT] {
            let mut start = best.parameters.map(logarithm);
            start[n] = limit;
            let near = best.log_likelihood - WORTH_TRYING * likelihood.observations();
            if likelihood.evaluate(&start.map(exp)).0.partial_cmp(&near) != Some(Ordering::Greater)
            {
                continue;
            }
            let mut tried = held;
            tried[n] = true;
            let least = best.log_likelihood - ROUNDING * best.log_likelihood.abs();
            let next = climb(likelihood, start, tried, near);
            let is_sound = next.has_converged() || !best.has_converged();
            if is_sound && next.log_likelihood >= least {
                best = Maximum { iterations: best.iterations + next.iterations, ..next };
                held = tried;
                break;
            }
        }
    }
    best
}

/// Searches from the logarithms of a start; the coordinates that are held stay
/// where they are. Where it comes near a flat place that is less likely than
/// `least`, it does not look for the last digits.
fn climb<const N: usize>(
    likelihood: &impl Likelihood<N>,
    start: [f64; N],
    held: [bool; N],
    least: f64,
) -> Maximum<N> {
    let surface = Surface {
        likelihood,
        held,
        last: Cell::default(),
        best: Cell::default(),
        points: Cell::default(),
    };
    let mut at = start;
    let mut steps = descend(&surface, &mut at, ROUGH) + polish(&surface, &mut at);
    let here = surface.point(at);
    if here.slope() >= FLAT && -here.cost * likelihood.observations() >= least {
        // A ridge, on which Newton's steps lead nowhere.
        steps += descend(&surface, &mut at, FLAT / 2.0) + polish(&surface, &mut at);
    }
    // Beyond its limit a parameter has not been looked at.
    at = at.map(|value| value.clamp(-LOGARITHM_MAX, LOGARITHM_MAX));
    let here = surface.point(at);
    // Covariance is the inverse of the information, that of all customers.
    let customers = likelihood.observations();
    // A Newton's step that is still to be taken leads on to a limit.
    let is_there = |inverse: &[[f64; N]; N]| {
        let step = |row: &[f64; N]| (0..N).map(|n| row[n] * here.gradient[n]).sum::<f64>();
        inverse.iter().all(|row| step(row).abs() < STEP_MAX)
    };
    let covariance = inverse(&surface.curvature(&at)).filter(is_there);
    let covariance = covariance.map(|matrix| matrix.map(|row| row.map(|one| one / customers)));
    Maximum {
        parameters: at.map(coordinate),
        log_likelihood: -here.cost * likelihood.observations(),
        // Where there is no likelihood, nothing has come to rest.
        gradient: if here.cost < WALL { here.slope() } else { f64::NAN },
        iterations: steps,
        is_determined: covariance.is_some(),
        covariance: covariance.filter(|_| held == [false; N]),
    }
}

/// What a limit is shown as, or one over it.
const WITHOUT_END: f64 = 1e18;

/// The coordinate of a logarithm, a limit to the last digit.
fn coordinate(logarithm: f64) -> f64 {
    match logarithm {
        _ if logarithm.abs() != LIMIT => exp(logarithm),
        ..0.0 => 1.0 / WITHOUT_END,
        _ => WITHOUT_END,
    }
}

/// The logarithm of a coordinate, that of a limit the one it is held at.
fn logarithm(coordinate: f64) -> f64 {
    let exact = log(coordinate);
    if (exact.abs() - LIMIT).abs() < 1e-12 { LIMIT.copysign(exact) } else { exact }
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
    /// Coordinates that are held where they are.
    held: [bool; N],
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
        let is_free = |n: usize| !self.held[n] && at[n].abs() <= LOGARITHM_MAX;
        let gradient =
            std::array::from_fn(|n| if is_free(n) { -slopes[n] / customers } else { 0.0 });
        let mut point = Point { at, cost: -sum / customers, gradient };
        if !point.cost.is_finite() || point.gradient.iter().any(|slope| !slope.is_finite()) {
            point.cost = WALL;
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
        self.upright(symmetric(&rows))
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
        self.upright(symmetric(&rows))
    }

    /// Second derivatives with those of the coordinates that are held replaced,
    /// so that they say nothing about the others.
    fn upright(&self, mut matrix: [[f64; N]; N]) -> [[f64; N]; N] {
        let largest = largest(&matrix);
        for n in (0..N).filter(|n| self.held[*n]) {
            matrix[n] = [0.0; N];
            matrix.iter_mut().for_each(|row| row[n] = 0.0);
            matrix[n][n] = f64::max(largest, f64::MIN_POSITIVE);
        }
        matrix
    }
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
