"""The models of `benches/clv.rs` in lifetimes: SUMMARY.csv, and the seconds as JSON."""

import json
import sys
import time
import warnings

import pandas
from lifetimes import BetaGeoFitter, GammaGammaFitter

warnings.filterwarnings("ignore")
customers = pandas.read_csv(sys.argv[1])
columns = customers["frequency"], customers["recency"], customers["T"]

start = time.perf_counter()
purchases = BetaGeoFitter()
purchases.fit(*columns)
fit = time.perf_counter() - start

start = time.perf_counter()
repeat = customers[(customers["frequency"] > 0) & (customers["mean"] > 0)]
money = GammaGammaFitter()
money.fit(repeat["frequency"], repeat["mean"])
spend = time.perf_counter() - start

start = time.perf_counter()
value = money.customer_lifetime_value(
    purchases, *columns, customers["mean"], time=12, discount_rate=0.01, freq="W"
)
predict = time.perf_counter() - start

print(
    json.dumps(
        {
            "customers": len(customers),
            "fit": fit,
            "spend": spend,
            "predict": predict,
            "total": float(value.sum()),
        }
    )
)
