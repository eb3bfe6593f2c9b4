//! How long the models take: reads a summary as other packages take it
//! (frequency, recency and T in weeks, mean spend of a repeat purchase), fits
//! BG/NBD and Gamma-Gamma, predicts every customer, and prints the seconds as
//! JSON. `make bench SCENARIO=models` runs it beside `lifetimes`.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Instant;

use tenure::clv::{GammaGamma, Histories, History, Kind, Span, Spend, Terms, Unit, fit};

fn main() -> ExitCode {
    // Cargo adds `--bench` behind what it is told.
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        eprintln!("usage: clv SUMMARY.csv");
        return ExitCode::from(2);
    };
    match measure(&path) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(path: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut customers = Vec::new();
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let cells = line.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [frequency, recency, age, mean] = cells[..] else { return Err("four columns".into()) };
        let frequency = frequency as u32;
        customers.push((History::new(frequency, Span::weeks(recency), Span::weeks(age))?, mean));
    }
    let begun = Instant::now();
    let counted = Histories::count(customers.iter().map(|(one, _)| (*one, 1)), Unit::Week);
    let purchases = fit(Kind::BgNbd, &counted)?;
    let fit_seconds = begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    let spend = customers.iter().filter_map(|(one, mean)| Spend::new(one.frequency, *mean, 1).ok());
    let mut spend: Vec<Spend> = spend.collect();
    spend.sort_by_key(|one| one.frequency);
    let [p, q, v] = GammaGamma::fit(&spend).parameters;
    let spend_seconds = begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    let (model, money) = (purchases.model, GammaGamma { p, q, v });
    let month = Span::weeks(4.345);
    let terms = Terms { horizon: Span::weeks(12.0 * 4.345), month, monthly: 0.01 };
    let mut known: HashMap<(u32, u64), f64> = HashMap::new();
    let mut total = 0.0;
    for (one, mean) in &customers {
        let key = (one.frequency, one.age.in_unit(Unit::Day).to_bits());
        let discounted = *known
            .entry(key)
            .or_insert_with(|| terms.discounted(&model.alive(one.frequency, one.age)));
        let spend = money.expected(f64::from(one.frequency), *mean).unwrap_or(f64::NAN);
        total += model.p_alive(one) * discounted * spend;
    }
    let predict_seconds = begun.elapsed().as_secs_f64();
    Ok(format!(
        "{{\"customers\": {}, \"fit\": {fit_seconds}, \"spend\": {spend_seconds}, \
         \"predict\": {predict_seconds}, \"log_likelihood\": {}, \"total\": {total}}}",
        customers.len(),
        purchases.log_likelihood
    ))
}
