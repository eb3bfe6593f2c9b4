"""Makes `alike.csv`: shops whose customers are alike, fitted by other means.

    pip install numpy scipy && python alike.py > alike.csv

Log-likelihoods of all customers at once, searched by L-BFGS-B and Nelder-Mead over
the logarithms of (rate, kappa, odds of dropping out, phi), or (rate, kappa, dropout
rate, its kappa), from -50 to 30; expected purchases by Gauss-Jacobi and
Gauss-Legendre quadrature. The customers are those of `alike.rs`."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import roots_jacobi

KINDS = "subscribers drawn jitter regular own_rhythm poisson poisson_leaving".split()
LEAVES = {"subscribers": 0.06, "jitter": 0.05, "poisson_leaving": 0.08}
CUSTOMERS, CALIBRATION, END = 1200, 637, 728
WEEKS = (END - CALIBRATION) / 7
BITS = (1 << 64) - 1


def splitmix(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & BITS
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & BITS
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & BITS
        yield ((z ^ (z >> 31)) >> 11) * 2.0**-53


def gap(kind, drawn, random):
    if kind in ("subscribers", "drawn"):
        return 30
    if kind == "jitter":
        return 24 + int(13 * next(random))
    if kind == "regular":
        return 19 + int(3 * next(random))
    if kind == "own_rhythm":
        return 10 + int(50 * drawn)
    days = 1
    while next(random) >= 0.04:
        days += 1
    return days


def customers(kind, seed):
    """Frequency, recency and age at the end of the calibration, and what follows."""
    random = splitmix(seed * 1000 + KINDS.index(kind))
    for _ in range(CUSTOMERS):
        start, drawn = int(540 * next(random)), next(random)
        leaves = 0.3 * drawn * drawn if kind == "drawn" else LEAVES.get(kind, 0.0)
        day, days = start, []
        while leaves == 0 or next(random) >= leaves:
            day += gap(kind, drawn, random)
            if day > END:
                break
            days.append(day)
        known = [day for day in days if day <= CALIBRATION]
        last = known[-1] - start if known else 0
        yield len(known), last, CALIBRATION - start, len(days) - len(known)


def elapsed(mean, kappa, t):
    v = kappa * mean * t
    return np.where(v > 1e-13, np.log1p(v) / max(kappa, 1e-300), mean * t)


def sums(terms):
    return np.concatenate([[0.0], np.cumsum(terms)])


class Shop:
    def __init__(self, rows):
        counts = {}
        for x, t_x, age, _ in rows:
            counts[x, t_x, age] = counts.get((x, t_x, age), 0) + 1
        table = np.array([(*history, count) for history, count in counts.items()], float)
        self.x = table[:, 0].astype(int)
        self.t_x, self.age, self.count = table[:, 1] / 7, table[:, 2] / 7, table[:, 3]
        self.steps = np.arange(self.x.max() + 2)

    def start(self):
        rate = (self.count * self.x).sum() / (self.count * self.age).sum()
        return np.log(rate)

    def bought(self, mean, kappa):
        return sums(np.log1p(self.steps * kappa))[self.x] + self.x * np.log(mean)

    def more(self, kappa):
        return 1 + kappa * self.x

    def nbd(self, at):
        mean, kappa = np.exp(at)
        alive = self.bought(mean, kappa) - self.more(kappa) * elapsed(mean, kappa, self.age)
        return (self.count * alive).sum()

    def odds(self, at, first):
        (mean, kappa), (p, q, phi) = np.exp(at[:2]), chances(at)
        n = self.x + first
        silent = elapsed(mean, kappa, self.age) - elapsed(mean, kappa, self.t_x)
        hazard = np.log(p) - np.log(q + np.maximum(n - 1, 0) * phi)
        return np.where(n > 0, hazard, -np.inf) + self.more(kappa) * silent

    def beta_geometric(self, at, first):
        (mean, kappa), (_, q, phi) = np.exp(at[:2]), chances(at)
        stay = sums(np.log((q + self.steps * phi) / (1 + self.steps * phi)))[self.x + first]
        alive = self.bought(mean, kappa) - self.more(kappa) * elapsed(mean, kappa, self.age)
        return (self.count * (alive + stay + np.logaddexp(0, self.odds(at, first)))).sum()

    def alive_and_gone(self, at):
        mean, kappa, drop, spread = np.exp(at)
        node, weight = np.polynomial.legendre.leggauss(48)
        half = (self.age - self.t_x) / 2
        time = self.t_x[:, None] + half[:, None] * (node + 1)

        def passed(more, t):
            return -more * elapsed(mean, kappa, t) - elapsed(drop, spread, t)

        top = passed(self.more(kappa), self.t_x)
        fall = np.exp(passed(self.more(kappa)[:, None], time) - top[:, None])
        integral = (weight * fall * drop / (1 + spread * drop * time)).sum(1) * half
        gone = top + np.log(np.maximum(integral, 1e-300))
        return passed(self.more(kappa), self.age), gone

    def pareto(self, at):
        alive, gone = self.alive_and_gone(at)
        either = self.bought(*np.exp(at[:2])) + np.logaddexp(alive, gone)
        return (self.count * either).sum()

    def expected(self, model, at):
        mean, kappa = np.exp(at[:2])
        own = mean * self.more(kappa) / (1 + kappa * mean * self.age)
        if model == "nbd":
            return (self.count * own * WEEKS).sum()
        if model == "pareto":
            drop, spread = np.exp(at[2:])
            alive, gone = self.alive_and_gone(at)
            alive = 1 / (1 + np.exp(np.where(self.age > self.t_x, gone - alive, -np.inf)))
            node, weight = np.polynomial.legendre.leggauss(40)
            later = drop / (1 + spread * drop * self.age)
            stays = [np.exp(-elapsed(one, spread, WEEKS / 2 * (node + 1))) for one in later]
            return (self.count * alive * own * (np.array(stays) @ weight) * WEEKS / 2).sum()
        first = model == "mbg"
        p, q, phi = chances(at)
        alive = 1 / (1 + np.exp(self.odds(at, first)))
        total = 0.0
        for place, x in enumerate(self.x):
            n = x + first
            chance, a, b = p / (1 + n * phi), p / phi, q / phi + n
            if a + b <= 1e3 and a >= 1e-6:
                node, weight = roots_jacobi(24, b - 1, a - 1)
                drops, weight = (node + 1) / 2, weight / weight.sum()
            else:
                # Narrow: two points of the same mean and variance.
                wide = np.sqrt(chance * b / (a + b) / (a + b + 1))
                drops, weight = np.array([chance - wide, chance + wide]), np.array([0.5, 0.5])
                drops = np.maximum(drops, 1e-300)
            passed = elapsed(own[place], kappa / (1 + kappa * x), WEEKS * drops)
            none = passed < 1e-12
            bought = np.where(none, own[place] * WEEKS, -np.expm1(-passed) / drops)
            total += self.count[place] * alive[place] * (weight * bought).sum()
        return total


def chances(at):
    odds, phi = np.exp(at[2:])
    return odds / (1 + odds), 1 / (1 + odds), phi


def highest(value, starts):
    def cost(at):
        return -value(np.clip(at, -50, 30))

    best = None
    for start in starts:
        bounded = {"method": "L-BFGS-B", "bounds": [(-50, 30)] * len(start)}
        found = minimize(cost, start, options={"maxiter": 500, "ftol": 1e-15}, **bounded)
        simplex = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-7, "fatol": 1e-9}
        found = minimize(cost, found.x, method="Nelder-Mead", options=simplex)
        found = minimize(cost, found.x, options={"maxiter": 500, "ftol": 1e-16}, **bounded)
        if best is None or found.fun < best.fun:
            best = found
    return np.clip(best.x, -50, 30)


def of_shop(kind, seed):
    rows = list(customers(kind, seed))
    shop = Shop(rows)
    rate = shop.start()
    more = rate + np.log(1.25)
    nobody = highest(shop.nbd, [[rate, 0.0], [rate, -20.0]])
    leaving = [[more, -0.7, -2.3, -0.7], [more, -30, -2.8, -30], [more, -30, -2.3, -2.3]]
    dropping = [[more, -0.7, rate - 2.3, 0], [more, -30, rate - 2.8, -30], [more, -30, rate - 2.3, 0]]
    last = [[*nobody, -30.0, 0.0]]
    models = {
        "bg": (lambda at: shop.beta_geometric(at, 0), leaving + last),
        "mbg": (lambda at: shop.beta_geometric(at, 1), leaving + last),
        "pareto": (shop.pareto, dropping + last),
        "nbd": (shop.nbd, [nobody]),
    }
    cells = [kind, str(seed), str(sum(row[3] for row in rows))]
    for model, (value, starts) in models.items():
        at = highest(value, starts)
        cells += [f"{value(at):.6f}", f"{shop.expected(model, at):.4f}"]
    return ",".join(cells)


if __name__ == "__main__":
    names = ("bg_nbd", "mbg_nbd", "pareto_nbd", "nbd")
    print("kind,seed,actual," + ",".join(f"{name},{name}_expected" for name in names))
    for kind in KINDS:
        for seed in range(1, 10):
            print(of_shop(kind, seed), flush=True)
