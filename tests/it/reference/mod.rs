//! Numbers others have printed, over the data sets in `../shared/data`: every
//! file in their `expected/` folders that a core table answers, cell by cell.
//!
//! Where our definition differs on purpose, a run is told to count as the
//! published table does, and a test beside it says by how much ours differs.

/// One test a published file, over the runs of a module's `PUBLISHED`. The
/// files of all data sets have the same names but for what they begin with.
macro_rules! as_published {
    ($folder:literal) => {
        as_published! {
            $folder:
            the_size_of_the_history_is_as_published "01_summary";
            every_cell_of_the_cohort_triangle_is_as_published "02_cohort_retention_monthly";
            n_day_retention_is_as_published "03_nday_retention";
            repurchase_rates_are_as_published "04_repurchase";
            customers_by_orders_are_as_published "04b_orders_per_customer";
            gaps_between_purchases_are_as_published "05_interpurchase";
            rfm_fifths_are_as_published "06_rfm_quintiles";
            rfm_cells_are_as_published "06b_rfm_cells";
            historical_values_are_as_published "07_historical_clv";
            top_customers_are_as_published "07b_top_customers";
            the_monthly_lifecycle_is_as_published "08_lifecycle_monthly";
        }
    };
    ($folder:literal: $($name:ident $file:literal;)*) => {$(
        #[test]
        fn $name() {
            let Some(runs) = &*PUBLISHED else { return };
            let Some(file) = data(concat!($folder, $file, ".csv")) else { return };
            runs.answer($file).must_equal(&$crate::reference::sheet::Sheet::read(&file));
        }
    )*};
}

/// CDNOW: no refunds, days without a time.
mod cdnow;
/// What each published file says, from our tables.
mod expected;
/// Probability models, against two independent programs.
mod models;
/// Online Retail, counted as published: sales only.
mod online_retail;
/// Online Retail as its pipeline counts: net, and with every row accounted for.
mod online_retail_net;
/// Tables as text, compared cell by cell.
mod sheet;
/// Running a pipeline of this repository and reading what it publishes.
mod warehouse;

use std::path::PathBuf;

/// A file below `../shared/data`; none, and a word about it, where the data is
/// not there.
fn data(file: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    if !folder.is_dir() {
        eprintln!("skipped: ../shared/data is absent");
        return None;
    }
    Some(folder.join(file))
}
