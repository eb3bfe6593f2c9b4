"""Makes `limits.csv`: likelihoods and slopes in 110 digits, from the formulas as
their authors print them, at points where those cancel in 16 digits.

    pip install mpmath && python limits.py > limits.csv

Points are (rate, kappa, odds of dropping out, phi) or (rate, kappa, dropout rate,
its kappa), histories (x, t_x, T), slopes by the logarithms of the coordinates; of
spend (scale, 1/p, 1/q) and (x, mean)."""

from mpmath import exp, log, loggamma, mp, mpf, quad

mp.dps = 110


def purchases(x, age, mean, kappa):
    """NBD (Ehrenberg 1959), r and alpha being 1/kappa and r/mean."""
    r, alpha = 1 / kappa, 1 / kappa / mean
    return loggamma(r + x) - loggamma(r) + r * log(alpha) - (r + x) * log(alpha + age)


def beta_geometric(x, t_x, age, mean, kappa, odds, phi, from_first):
    """Fader, Hardie and Lee (2005a), eq. 6; Batislam et al. (2007)."""
    r, alpha = 1 / kappa, 1 / kappa / mean
    a, b = odds / (1 + odds) / phi, 1 / (1 + odds) / phi
    n = x + 1 if from_first else x
    beta = loggamma(a + b) - loggamma(b) + loggamma(b + n) - loggamma(a + b + n)
    alive = purchases(x, age, mean, kappa) + beta
    if n == 0:
        return alive
    ratio = exp((r + x) * (log(alpha + age) - log(alpha + t_x)))
    return alive + log(1 + a / (b + n - 1) * ratio)


def pareto(x, t_x, age, mean, kappa, drop, drop_kappa):
    """Schmittlein, Morrison and Colombo (1987), before the integration."""
    r, alpha = 1 / kappa, 1 / kappa / mean
    s, beta = 1 / drop_kappa, 1 / drop_kappa / drop
    before = loggamma(r + x) - loggamma(r) + r * log(alpha) + s * log(beta)
    alive = exp(before - (r + x) * log(alpha + age) - s * log(beta + age))
    if t_x == age:
        return log(alive)

    def gone(tau):
        return exp(before - (r + x) * log(alpha + tau) - (s + 1) * log(beta + tau))

    return log(alive + s * quad(gone, [t_x, (t_x + age) / 2, age]))


def spend(x, mean, scale, days, others):
    """Fader and Hardie (2013), eq. 1a."""
    p, q = 1 / days, 1 / others
    v = scale * q / p
    gammas = loggamma(p * x + q) - loggamma(p * x) - loggamma(q)
    powers = q * log(v) + p * x * log(x) + (p * x - 1) * log(mean)
    return gammas + powers - (p * x + q) * log(x * mean + v)


def slopes(value, point):
    """By the logarithms, from five points."""
    step = mpf(10) ** -22
    found = []
    for place in range(len(point)):
        at = []
        for times in (-2, -1, 1, 2):
            there = list(point)
            there[place] *= exp(times * step)
            at.append(value(*there))
        slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
        # What exceeds the digits of the difference is 0.
        found.append(slope if abs(slope) > mpf(10) ** -60 else mpf(0))
    return found


seen = set()


def row(model, point, history, value):
    exact = [mpf(number) for number in point]
    cells = [
        model,
        " ".join(repr(float(number)) for number in point),
        " ".join(repr(float(number)) for number in history),
        repr(float(value(*exact))),
        " ".join(repr(float(slope)) for slope in slopes(value, exact)),
    ]
    text = ";".join(cells)
    if text not in seen:
        seen.add(text)
        print(text)


HISTORIES = [
    (0, 0, 40),
    (1, 30, 40),
    (3, 52, 52),
    (12, 50.125, 52),
    (12, 20, 52),
    (60, 51.5, 52),
    (200, 38, 40),
]
KAPPAS = [4.0, 0.1, 1e-4, 1e-8, 1e-13, 1e-20]
POINTS = (
    [(0.25, kappa, 0.3, 0.3) for kappa in KAPPAS]
    + [(0.25, 0.5, odds, 0.3) for odds in (0.01, 1e-6, 1e-12, 1e-18)]
    + [(0.25, 0.5, 0.1, phi) for phi in (1e-4, 1e-9, 1e-14, 1e-20)]
    + [(0.23, near, near, near) for near in (1e-6, 1e-12, 1e-20)]
    + [(0.23, near, 0.05, near) for near in (1e-6, 1e-12, 1e-20)]
    + [(0.05, 1e6, 0.3, 1e3), (2.5, 1e-15, 1e6, 0.01), (0.25, 1e-18, 0.1122, 0.105)]
)
LEAVING = (
    [(0.25, kappa, 0.05, 0.5) for kappa in KAPPAS]
    + [(0.25, 0.5, drop, 1.0) for drop in (1e-5, 1e-10, 1e-18)]
    + [(0.25, 0.5, 0.03, kappa) for kappa in (1e-5, 1e-10, 1e-18)]
    + [(0.23, near, 0.03, near) for near in (1e-6, 1e-12, 1e-20)]
    + [(0.23, near, near, 1.0) for near in (1e-9, 1e-18)]
)
SPREADS = [
    (0.16, 0.27),
    (1e-3, 0.27),
    (1e-8, 0.27),
    (1e-18, 0.27),
    (0.16, 1e-3),
    (0.16, 1e-9),
    (0.16, 1e-18),
    (20.0, 0.5),
    (0.5, 20.0),
]
NARROW = [(1e-6, 1e-7), (1e-12, 1e-10), (1e-14, 1e-18), (1e-18, 1e-14)]

print("model;point;history;value;slopes")
for model, from_first in (("bg_nbd", False), ("mbg_nbd", True)):
    for place, point in enumerate(POINTS):
        for more in (0, 3):
            history = HISTORIES[(2 * place + more) % 7]
            if history[0] == 0 and not from_first:
                history = HISTORIES[3]
            own = [mpf(number) for number in history]
            row(model, point, history, lambda *at: beta_geometric(*own, *at, from_first))
for place, kappa in enumerate([*KAPPAS, 1e-16, 1e3]):
    for history in (HISTORIES[place % 7], HISTORIES[(place + 4) % 7]):
        own = mpf(history[0]), mpf(history[2])
        row("nbd", (0.25, kappa), history, lambda *at: purchases(*own, *at))
for place, point in enumerate(LEAVING):
    for more in (0, 3):
        history = HISTORIES[(place + more) % 6]
        own = [mpf(number) for number in history]
        row("pareto_nbd", point, history, lambda *at: pareto(*own, *at))
for days, others in SPREADS:
    for x, mean in ((1, 12.5), (4, 33.0), (40, 29.875)):
        own = mpf(x), mpf(mean)
        row("gamma_gamma", (30.0, days, others), (x, mean), lambda *at: spend(*own, *at))
for days, others in NARROW:
    for x, away in ((1, 2.0), (7, -1.0)):
        mean = 29.99 * (1 + away * max(days, others) ** 0.5)
        own = mpf(x), mpf(mean)
        row("gamma_gamma", (29.99, days, others), (x, mean), lambda *at: spend(*own, *at))
