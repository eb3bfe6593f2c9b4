//! Why a model is not what predictions are made of: the codes that stand in
//! `models.fit`, and their words. `rules.model_warnings` has the same words for
//! those who read tables; an analyst may change them there.

pub const TOO_FEW_CUSTOMERS: &str = "too_few_customers";
pub const TOO_SHORT: &str = "too_short";
pub const TOO_FEW_REPEATS: &str = "too_few_repeats";
pub const DEGENERATE_DROPOUT: &str = "degenerate_dropout";
pub const FLAT_LIKELIHOOD: &str = "flat_likelihood";
pub const NOT_CONVERGED: &str = "not_converged";
pub const TOO_FEW_SPENDERS: &str = "too_few_spenders";
pub const SPEND_FOLLOWS_FREQUENCY: &str = "spend_follows_frequency";
pub const NO_MEAN_SPEND: &str = "no_mean_spend";

const WORDS: [(&str, &str); 9] = [
    (TOO_FEW_CUSTOMERS, "fewer than 500 customers bought in the calibration"),
    (TOO_SHORT, "the calibration is shorter than 180 days"),
    (TOO_FEW_REPEATS, "nobody bought on three days or more"),
    (DEGENERATE_DROPOUT, "no better than a model in which nobody drops out"),
    (
        FLAT_LIKELIHOOD,
        "the likelihood is flat: some parameter could be anything, or grows without end",
    ),
    (NOT_CONVERGED, "the search for the highest likelihood did not come to rest"),
    (TOO_FEW_SPENDERS, "fewer than 100 customers with repeat spend"),
    (SPEND_FOLLOWS_FREQUENCY, "correlation of frequency and mean spend beyond 0.3"),
    (NO_MEAN_SPEND, "q of 1 or less: mean spend would be infinite"),
];

/// What a code means; the code itself where it is none of these.
pub fn words(code: &str) -> &str {
    WORDS.iter().find(|(known, _)| *known == code).map_or(code, |(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::WORDS;

    /// A reason has one meaning, whoever tells it.
    #[test]
    fn the_rule_file_says_the_same() {
        let rules = include_str!("../../../sql/rules/model_warnings.sql");
        for (code, words) in WORDS {
            let row = format!("'{code}',\n                '{words}'");
            assert!(rules.contains(&row), "rules.model_warnings lacks {row}");
        }
        assert_eq!(rules.matches("            (\n").count(), WORDS.len());
    }
}
