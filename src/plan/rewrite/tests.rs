//! Headers before and after, and that none of them costs a query or a word.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Facts, MEANING, TITLE, query, rewrite};
use crate::plan::header::{self, Header};
use crate::problem::Source;

fn read(text: &str) -> (Arc<Source>, Header) {
    let source = Source::new("sql/metrics/x.sql", text);
    let (header, _) = header::read(&source);
    (source, header)
}

/// `select segment, n from facts.t where n > $least`
fn facts() -> Facts {
    let segment = Field::new("segment", DataType::Utf8, true);
    let n = Field::new("n", DataType::Int64, true);
    Facts {
        name: "metrics.x".into(),
        reads: vec!["facts.t".into()],
        params: vec!["least".into()],
        columns: Some(Schema::new(vec![segment, n])),
    }
}

fn fixed_as(text: &str, facts: &Facts) -> String {
    let (source, header) = read(text);
    rewrite(&source, &header, facts).unwrap_or_else(|problem| panic!("{text:?}: {problem}"))
}

fn fixed(text: &str) -> String {
    fixed_as(text, &facts())
}

const DECLARED: &str = "-- reads   facts.t\n-- params  least\n--\n";
const EMPTY: &str =
    "-- segment  text    (say what it means)\n-- n        bigint  (say what it means)\n";

/// A sound header: nothing of it changes.
const SOUND: &str = "\
-- metrics.x: which
-- segments?
--
-- grain  segment
-- reads facts.t
-- params   least
--
-- segment text the word
--     for it
-- n  bigint  how many
--
-- A note,
--
--     indented.
select 1
";

#[test]
fn a_sound_header_stays_in_its_authors_hand() {
    for text in [
        SOUND.to_string(),
        SOUND.replace('\n', "\r\n"),
        format!("\u{feff}{SOUND}"),
        // The empty lines between the paragraphs may be missing or several.
        SOUND.replacen("--\n-- grain", "-- grain", 1),
        SOUND.replacen("--\n-- grain", "--\n--\n-- grain", 1),
        SOUND.replacen("-- reads", "--\n-- reads", 1),
        format!("--\n{SOUND}"),
    ] {
        assert_eq!(fixed(&text), text);
    }
}

#[test]
fn a_header_is_written_before_a_query_that_has_none() {
    let header = format!("-- metrics.x: (say what it is)\n--\n{DECLARED}{EMPTY}\n");
    for query in ["select 1", "select 1\n", "\n\n-- a\nselect 1", "/* a */ select 1", "  -- a\n1"] {
        let expected = format!("{header}{query}").replace("\n\n\n\n", "\n\n\n");
        assert_eq!(fixed(query).replace("\n\n\n", "\n\n"), expected.replace("\n\n\n", "\n\n"));
        assert!(fixed(query).ends_with(query), "{query}");
    }
}

/// Heads of files, and what they become; the query is `select 1` each time.
#[test]
fn no_word_of_a_header_is_lost() {
    for (before, title, grain, columns, notes) in [
        // Words without a name are the title.
        ("-- my table\n-- grain  segment\n", "my table", "segment", EMPTY, ""),
        ("--my table\n", "my table", "", EMPTY, ""),
        ("-- Note: ours\n-- too\n", "Note: ours\n-- too", "", EMPTY, ""),
        // Lists in the title's paragraph.
        ("-- metrics.x: t\n-- grain segment, n\n", "t", "segment, n", EMPTY, ""),
        ("-- grain segment\n", TITLE, "segment", EMPTY, ""),
        (
            "-- metrics.x: the finest\n-- grain of all\n",
            "the finest\n-- grain of all",
            "",
            EMPTY,
            "",
        ),
        ("-- metrics.x: a\n-- grain b\n--\n-- grain n\n", "a\n-- grain b", "n", EMPTY, ""),
        // The path is the name.
        ("-- metrics.old: t\n", "t", "", EMPTY, ""),
        // Something stands before the title.
        ("-- ===\n-- metrics.x: t\n-- ===\n", "t\n-- ===", "", EMPTY, "-- ===\n"),
        ("-- A licence\n--\n-- metrics.x: t\n--\n-- grain n\n", "t", "n", EMPTY, "-- A licence\n"),
        // Lists that say more than names.
        (
            "-- metrics.x: t\n--\n-- reads   facts.t (daily), facts.old\n",
            "t",
            "",
            EMPTY,
            "-- reads   facts.t (daily), facts.old\n",
        ),
        ("-- metrics.x: t\n--\n-- grain   segment,\n--         n\n", "t", "segment, n", EMPTY, ""),
        (
            "-- metrics.x: t\n--\n--         what is this\n",
            "t",
            "",
            EMPTY,
            "--         what is this\n",
        ),
        // Columns that are no more, of no known type, or twice.
        (
            "-- metrics.x: t\n--\n-- grain n\n--\n-- n    bigint  how\n--      many\n-- old  date  a day\n--       once\n",
            "t",
            "n",
            "-- segment  text    (say what it means)\n-- n        bigint  how\n--                  many\n",
            "-- old  date  a day\n--       once\n",
        ),
        (
            "-- metrics.x: t\n--\n-- grain n\n--\n-- segment  text  a\n-- n  int  how many\n--        are there\n--\n-- End.\n",
            "t",
            "n",
            "-- segment  text    a\n-- n        bigint  (say what it means)\n",
            "-- n  int  how many\n--        are there\n--\n-- End.\n",
        ),
        (
            "-- metrics.x: t\n--\n-- grain n\n--\n-- n bigint a\n-- n bigint b\n",
            "t",
            "n",
            "-- segment  text    (say what it means)\n-- n        bigint  a\n",
            "-- n bigint b\n",
        ),
        // Prose that is taken for nothing else.
        (
            "-- metrics.x: t\n--\n-- Some prose\n--   here.\n--\n--\n",
            "t",
            "",
            EMPTY,
            "-- Some prose\n--   here.\n",
        ),
    ] {
        let grain = if grain.is_empty() { String::new() } else { format!("-- grain   {grain}\n") };
        let notes = if notes.is_empty() { String::new() } else { format!("--\n{notes}") };
        let after =
            format!("-- metrics.x: {title}\n--\n{grain}{DECLARED}{columns}{notes}\nselect 1\n");
        let before = format!("{before}select 1\n");
        assert_eq!(fixed(&before), after, "{before}");
        assert_eq!(fixed(&after), after);
        // Lines end as they did.
        assert_eq!(fixed(&before.replace('\n', "\r\n")), after.replace('\n', "\r\n"));
        assert_eq!(fixed(&format!("\u{feff}{before}")), format!("\u{feff}{after}"));
    }
}

#[test]
fn a_column_may_be_called_like_a_list() {
    let mut facts = facts();
    facts.reads.clear();
    facts.params.clear();
    facts.columns = Some(Schema::new(vec![Field::new("grain", DataType::Int64, true)]));
    let text = fixed_as("select 1", &facts);
    assert_eq!(read(&text).1.columns[0].name.value, "grain");
}

#[test]
fn a_rule_and_what_may_be_absent_stay() {
    let before = "-- metrics.x: t\n--\n-- grain n\n-- uses facts.t\n-- rule cells a in (1),\n--         b in (2)\n-- rule ranges c\nselect 1";
    let (header, _) = fixed(before).split_once("--\n-- segment").map_or_else(
        || panic!("no columns"),
        |(header, rest)| (header.to_string(), rest.to_string()),
    );
    let lists = "-- grain   n\n-- reads   none\n-- uses    facts.t\n-- params  least\n";
    let rule = "-- rule    cells a in (1), b in (2)\n";
    assert_eq!(header, format!("-- metrics.x: t\n--\n{lists}{rule}"));
    assert!(fixed(before).contains("--\n-- rule ranges c\n"), "{}", fixed(before));
}

#[test]
fn a_check_keeps_its_notes_where_they_look_like_columns() {
    let facts = Facts { columns: None, ..facts() };
    let notes = "-- n bigint of the other\n--\n-- order_id is null\n-- nowhere\n";
    let text = fixed_as(&format!("-- metrics.x: t\n--\n{notes}select 1"), &facts);
    let lists = "-- reads   facts.t\n-- params  least\n";
    assert_eq!(text, format!("-- metrics.x: t\n--\n{lists}--\n{notes}\nselect 1"));
    assert_eq!(fixed_as(&text, &facts), text);
}

#[test]
fn what_would_not_be_read_back_is_refused() {
    let mut facts = facts();
    // Nobody can describe it: `fix` says so before.
    facts.columns = Some(Schema::new(vec![Field::new("a b", DataType::Int64, true)]));
    let (source, header) = read("select 1");
    let problem = rewrite(&source, &header, &facts).expect_err("refused");
    insta::assert_snapshot!(problem, @"
    error: the header of `metrics.x` cannot be written anew safely
     --> sql/metrics/x.sql:1:1
      |
    1 | select 1
      | ^^^^^^^^
      |
      = note: what was written would not be read as it is meant; nothing was
      = help: write it by hand: begin the file with `-- metrics.x: what it says`
    ");
}

/// Lines that may stand before a query, comments and others.
const LINES: &[&str] = &[
    "",
    "--",
    "-- ",
    "--   ",
    "-- metrics.x: t",
    "-- metrics.y: u",
    "--metrics.x:",
    "-- Note: v",
    "-- my table",
    "-- ====",
    "-----",
    "-- grain  segment",
    "-- grain segment, n",
    "-- grain n,",
    "-- grain of salt",
    "-- reads facts.t",
    "-- reads   facts.u, facts.t",
    "-- reads none",
    "-- reads facts.t (w)",
    "-- uses facts.t",
    "-- uses sources.v",
    "-- params least",
    "-- params  none",
    "-- rule ranges a: b <= c < d",
    "-- rule cells a in (1)",
    "-- rule of thumb",
    "--         n, facts.w",
    "--         more words",
    "-- segment text what",
    "-- n bigint  how many",
    "-- n int x",
    "-- old date gone",
    "-- old_one is gone",
    "--     and on",
    "-- word",
    "--\tx",
    "  -- inner",
    "/* block */",
    "-- select segment",
    "-- n  bigint  (say what it means)",
    "   ",
];

fn line() -> impl Strategy<Value = String> {
    prop_oneof![12 => select(LINES).prop_map(String::from), 1 => "-- [ -~]{0,20}"]
}

fn head() -> impl Strategy<Value = String> {
    let line = (line(), select(&["\n", "\n", "\r\n", "  \n"][..]));
    vec(line, 0..9).prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

/// The words of a text that somebody wrote for people.
fn prose(text: &str) -> Vec<&str> {
    let words = text.split_whitespace().map(|word| word.trim_matches(['\u{feff}', '-', ',', ':']));
    // A query says these itself; the path is the name.
    let ours = ["", "none", "n", "text", "bigint", "facts.t", "facts.u", "facts.w", "sources.v"];
    let lists = ["reads", "uses", "params", "grain", "metrics.y", "least", "old"];
    let placeholder = |word: &str| MEANING.contains(word);
    words
        .filter(|word| !ours.contains(word) && !lists.contains(word) && !placeholder(word))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_query_survives_whatever_stands_before_it(
        mark in any::<bool>(),
        head in head(),
        of_check in any::<bool>(),
        body in select(&["select 1", "select 1\n", "\n\nwith a as (\r\n-- b\n)\r\n", " -- a\nselect '--'"][..]),
    ) {
        let text = format!("{}{head}{body}", if mark { "\u{feff}" } else { "" });
        let (source, header) = read(&text);
        let mut facts = facts();
        if of_check {
            facts.columns = None;
        }
        // To refuse is always safe.
        let Ok(new) = rewrite(&source, &header, &facts) else { return Ok(()) };
        let (again, new_header) = read(&new);
        prop_assert_eq!(query(&new, &new_header), query(&text, &header));
        prop_assert!(new.ends_with(body));
        prop_assert_eq!(new.starts_with('\u{feff}'), mark);
        prop_assert_eq!(super::words(&new_header.grain), super::words(&header.grain));
        prop_assert_eq!(super::words(&new_header.params), ["least"]);
        let reads = new_header.reads.len() + new_header.uses.len();
        prop_assert_eq!(reads, 1);
        let mut words = prose(&new);
        for word in prose(&text) {
            let found = words.iter().position(|other| *other == word);
            prop_assert!(found.is_some(), "{word} is lost:\n{text}\n{new}");
            words.swap_remove(found.unwrap_or_default());
        }
        let twice = rewrite(&again, &new_header, &facts).map_err(|problem| {
            TestCaseError::fail(format!("{problem}"))
        })?;
        prop_assert_eq!(twice, new);
    }
}
