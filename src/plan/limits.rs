//! How deep a text of SQL may be, and how long its names: looked at before it is
//! parsed, for whoever walks the parsed tree needs stack for its depth, and a planner
//! that looks for similar names needs time for their length.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

/// Operators of one expression that follow each other. `a or b or c` is a tree as deep
/// as it has operators; 16 MiB of stack are enough for 3,000 whatever the build.
const OPERATORS_MAX: usize = 2_500;

/// Of them those of arithmetic: the type of a sum follows from those of its operands,
/// and the planner asks for it at every step, so that 1,000 take it seconds.
const SUMMANDS_MAX: usize = 500;

/// Queries joined by `union` and its kin, or tables by `join`: the plan is as deep.
const QUERIES_MAX: usize = 500;

/// Letters of a name.
const NAME_MAX: usize = 256;

/// The first place where a text goes beyond a limit, and what is said of it.
pub fn exceeded(text: &str) -> Option<(Span, String)> {
    // What is no SQL is the parser's to tell.
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().ok()?;
    let mut open = vec![Level::default()];
    for TokenWithSpan { token, span } in tokens {
        let says = |message: String| Some((span, message));
        match &token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(Level::default()),
            Token::RParen | Token::RBracket | Token::RBrace => {
                if open.len() > 1 {
                    open.pop();
                }
                // What follows a pair of brackets may be as deep again: `a[1][1][1]`.
                count(&mut open).operators += 1;
            }
            Token::Comma | Token::SemiColon => count(&mut open).begin(),
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod => {
                let level = count(&mut open);
                level.operators += 1;
                level.summands += 1;
            }
            Token::Word(word) if word.value.chars().nth(NAME_MAX).is_some() => {
                let start: String = word.value.chars().take(32).collect();
                let letters = word.value.chars().count();
                return says(format!(
                    "the name `{start}…` has {letters} letters, and {NAME_MAX} are the most"
                ));
            }
            Token::Word(word) => match word.keyword {
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => {
                    count(&mut open).queries += 1;
                }
                Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::HAVING
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE => count(&mut open).begin(),
                Keyword::AND | Keyword::OR | Keyword::XOR => count(&mut open).join(),
                keyword if is_operator(keyword) => count(&mut open).add(),
                _ => {}
            },
            token if is_sign(token) => count(&mut open).add(),
            _ => {}
        }
        let depth = open.iter().map(|level| level.conditions + level.operators).sum::<usize>();
        let summands = open.iter().map(|level| level.summands).sum::<usize>();
        if depth > OPERATORS_MAX || summands > SUMMANDS_MAX {
            let (most, what) = match depth > OPERATORS_MAX {
                true => (OPERATORS_MAX, "operators"),
                false => (SUMMANDS_MAX, "operators of arithmetic"),
            };
            return says(format!(
                "more than {most} {what} of one expression stand before this one; write a list as \
                 `in (…)`, put numbers into a table of `values`, or compute in several steps"
            ));
        }
        if open.iter().map(|level| level.queries).sum::<usize>() > QUERIES_MAX {
            return says(format!(
                "more than {QUERIES_MAX} `union`, `join` and the like stand before this one; put \
                 the rows into one table of `values`, or compute in several models"
            ));
        }
    }
    None
}

/// What has been counted between two brackets.
#[derive(Default)]
struct Level {
    /// `and` and `or` since the last comma.
    conditions: usize,
    /// Since the last of those.
    operators: usize,
    /// Since the last other operator.
    summands: usize,
    queries: usize,
}

impl Level {
    /// Another expression begins.
    fn begin(&mut self) {
        (self.conditions, self.operators, self.summands) = (0, 0, 0);
    }

    /// Another condition begins: it is as deep as it is by itself.
    fn join(&mut self) {
        (self.conditions, self.operators, self.summands) = (self.conditions + 1, 0, 0);
    }

    /// An operator that is none of arithmetic.
    fn add(&mut self) {
        (self.operators, self.summands) = (self.operators + 1, 0);
    }
}

fn count(open: &mut [Level]) -> &mut Level {
    let last = open.len() - 1;
    &mut open[last]
}

fn is_operator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::NOT
            | Keyword::IS
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::DIV
    )
}

fn is_sign(token: &Token) -> bool {
    !matches!(
        token,
        Token::EOF
            | Token::Word(_)
            | Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Whitespace(_)
            | Token::Period
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_long_and_expressions_may_not() {
        let ones = |count: usize, between: &str| vec!["1"; count].join(between);
        for fine in [
            format!("select {}", ones(400, " + ")),
            format!("select {}", ones(2_000, " or ")),
            format!("select {}", vec!["a <> -3"; 2_000].join(" and ")),
            format!("select {}", vec!["a + 1 = b * 2"; 500].join(" and ")),
            format!("select case {} end", vec!["when a - 1 > 2 then b + 1"; 5_000].join(" ")),
            format!("select x in ({})", ones(100_000, ", ")),
            format!("select * from (values {})", ones(50_000, "), (-").replace('1', "1, -1")),
            format!("select {}", ones(30, " union all select ")),
        ] {
            assert_eq!(exceeded(&fine), None, "{}", &fine[..60]);
        }
        for refused in [
            format!("select {}", ones(600, " + ")),
            format!("select {}", ones(5_000, " or ")),
            format!("select 1{}", "::int".repeat(5_000)),
            format!("select a{}", "[1]".repeat(5_000)),
            format!("select {}", ones(600, ", 2 union all select ")),
            format!("select {} from t", "a".repeat(1_000_000)),
        ] {
            assert!(exceeded(&refused).is_some(), "{}", &refused[..60]);
        }
    }
}
