//! The cohort triangle: who was won when, and how many of them came back.
//!
//! ```text
//! cohort   customers     1      2      3
//! 2024-01        512  21.3   18.0   17.4*
//! ```

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use arrow::error::ArrowError;
use chrono::{Datelike, NaiveDate, TimeDelta};

use super::table::TextTable;
use super::units;

/// The columns of `metrics.cohort_retention` that the triangle is drawn from.
pub const COLUMNS: [&str; 6] = [
    "cohort_start",
    "period_index",
    "cohort_customers",
    "active_customers",
    "is_complete",
    "is_left_truncated",
];

/// Periods across: what a terminal of a hundred columns has room for.
const PERIODS_MAX: i64 = 12;

/// Cohorts down, periods across.
#[derive(Debug, Default)]
pub struct Triangle {
    cohorts: BTreeMap<NaiveDate, Cohort>,
}

#[derive(Debug, Default)]
struct Cohort {
    customers: i64,
    is_left_truncated: bool,
    cells: BTreeMap<i64, Cell>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    active: i64,
    is_complete: bool,
}

impl Triangle {
    /// Adds rows with the columns of [`COLUMNS`], in that order.
    ///
    /// # Errors
    /// A column has a type the table never had.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let whole = |index: usize| cast(batch.column(index), &DataType::Int64);
        let truth = |index: usize| cast(batch.column(index), &DataType::Boolean);
        let starts = cast(batch.column(0), &DataType::Date32)?;
        let starts = starts.as_primitive::<Date32Type>();
        let (indices, customers, active) = (whole(1)?, whole(2)?, whole(3)?);
        let (complete, truncated) = (truth(4)?, truth(5)?);
        let number = |array: &dyn Array, row| array.as_primitive::<Int64Type>().value(row);
        for row in 0..batch.num_rows() {
            let start = NaiveDate::default() + TimeDelta::days(starts.value(row).into());
            let cohort = self.cohorts.entry(start).or_default();
            cohort.customers = number(&customers, row);
            cohort.is_left_truncated |= truncated.as_boolean().value(row);
            let cell = Cell {
                active: number(&active, row),
                is_complete: complete.as_boolean().value(row),
            };
            cohort.cells.insert(number(&indices, row), cell);
        }
        Ok(())
    }

    /// The triangle of the newest cohorts as lines; `grain` is what a period
    /// is, such as `month`.
    pub fn render(&self, grain: &str, cohorts_max: usize) -> String {
        let hidden = self.cohorts.len().saturating_sub(cohorts_max);
        let shown: Vec<_> = self.cohorts.iter().skip(hidden).collect();
        let longest = shown.iter().filter_map(|(_, cohort)| cohort.cells.keys().max()).max();
        let longest = longest.copied().unwrap_or(0);
        let periods = longest.min(PERIODS_MAX);
        let mut head = vec!["cohort".to_string(), "customers".into()];
        // The blank stands where a cell may have its mark.
        head.extend((1..=periods).map(|index| format!("{index} ")));
        let mut table = TextTable::new(head);
        for (start, cohort) in &shown {
            table.row(cohort.line(&label(**start, grain), periods));
        }
        table.row(all(&shown, periods));
        (1..=usize::try_from(periods).unwrap_or(0) + 1).for_each(|index| table.right(index));
        let title = format!(
            "Of the customers won in a {grain}, how many % buy again 1, 2, 3 … {grain}s later?\n\n"
        );
        title + &table.render() + &self.notes(grain, hidden, longest)
    }

    fn notes(&self, grain: &str, hidden: usize, longest: i64) -> String {
        let mut notes = Vec::new();
        let mut cells = self.cohorts.values().flat_map(|cohort| cohort.cells.values());
        if cells.any(|cell| !cell.is_complete) {
            notes.push(format!("* this {grain} is not over; the line `all` leaves such cells out"));
        }
        if self.cohorts.values().any(|cohort| cohort.is_left_truncated) {
            notes.push("< the history begins here: some of them may be older customers".into());
        }
        if hidden > 0 {
            notes.push(format!("{hidden} older cohorts are not shown"));
        }
        if longest > PERIODS_MAX {
            notes.push(format!("the table goes on to {grain} {longest}"));
        }
        match notes.is_empty() {
            true => String::new(),
            false => format!("\n{}\n", notes.join("\n")),
        }
    }
}

impl Cohort {
    fn line(&self, label: &str, periods: i64) -> Vec<String> {
        let mark = if self.is_left_truncated { "<" } else { "" };
        let customers = units::grouped(u64::try_from(self.customers).unwrap_or(0));
        let mut line = vec![format!("{label}{mark}"), customers];
        line.extend((1..=periods).map(|index| {
            self.cells.get(&index).map_or_else(String::new, |cell| {
                let mark = if cell.is_complete { ' ' } else { '*' };
                format!("{}{mark}", share(cell.active, self.customers))
            })
        }));
        line
    }
}

/// All cohorts together, each period over those that have lived through it.
fn all(shown: &[(&NaiveDate, &Cohort)], periods: i64) -> Vec<String> {
    let customers = shown.iter().map(|(_, cohort)| cohort.customers).sum::<i64>();
    let mut line = vec!["all".to_string(), units::grouped(u64::try_from(customers).unwrap_or(0))];
    line.extend((1..=periods).map(|index| {
        let over = shown.iter().filter_map(|(_, cohort)| {
            let cell = cohort.cells.get(&index).filter(|cell| cell.is_complete)?;
            Some((cell.active, cohort.customers))
        });
        let (active, customers) = over.fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
        match customers {
            0 => String::new(),
            _ => format!("{} ", share(active, customers)),
        }
    }));
    line
}

/// Percent with one place, rounded half up in whole numbers.
fn share(part: i64, whole: i64) -> String {
    if whole == 0 {
        return String::new();
    }
    let thousandths = (part * 2_000 + whole) / (whole * 2);
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

fn label(start: NaiveDate, grain: &str) -> String {
    match grain {
        "month" => start.format("%Y-%m").to_string(),
        "quarter" => format!("{} Q{}", start.year(), start.month0() / 3 + 1),
        "year" => start.year().to_string(),
        _ => start.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cohort(customers: i64, cells: &[(i64, bool)]) -> Cohort {
        let cells = cells.iter().zip(0..).map(|((active, is_complete), index)| {
            (index, Cell { active: *active, is_complete: *is_complete })
        });
        Cohort { customers, is_left_truncated: false, cells: cells.collect() }
    }

    #[test]
    fn cells_that_are_not_over_are_marked_and_not_averaged() {
        let january = NaiveDate::from_ymd_opt(2024, 1, 1).expect("date");
        let february = NaiveDate::from_ymd_opt(2024, 2, 1).expect("date");
        let mut triangle = Triangle::default();
        triangle.cohorts.insert(january, cohort(200, &[(200, true), (43, true), (20, false)]));
        triangle.cohorts.insert(february, cohort(100, &[(100, true), (7, false)]));
        let lines = triangle.render("month", 36);
        let lines: Vec<&str> = lines.lines().skip(4).map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "2024-01        200  21.5   10.0*",
                "2024-02        100   7.0*",
                "all            300  21.5",
                "",
                "* this month is not over; the line `all` leaves such cells out",
            ]
        );
    }
}
