//! Words of a query that the parser reads and the planner takes no notice of: rows
//! would not be what is written, and nobody would be told. They are refused.
//!
//! The structs of the parser are taken apart field by field, so that a new field is a
//! decision to be made here and not another thing that passes unseen.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::execution::SessionStateDefaults;
use datafusion::sql::sqlparser::ast::{
    Cte, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Join,
    NullTreatment, OrderByKind, PipeOperator, Query, Select, SetExpr, Spanned as _, TableAlias,
    TableFactor, TypedString, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, Tokenizer};

/// Something that has no effect.
#[derive(Debug)]
pub struct Unheeded {
    /// The words, as they are looked for in the text: each of several spellings.
    words: &'static [&'static str],
    /// What it is called, where that is not the words.
    name: Option<&'static str>,
    /// Before them in the text.
    near: Span,
    /// The next move.
    pub help: &'static str,
}

impl Unheeded {
    /// Where it is in the text of the query, and what is said of it.
    pub fn told(&self, text: &str) -> (Span, String) {
        let mut words = self.words.iter();
        let found = words.find_map(|words| Some((find(text, words, self.near.start)?, words)));
        let (place, what) = match found {
            Some((place, words)) => (place, self.name.map_or(format!("`{words}`"), Into::into)),
            None => (self.near, self.words.first().copied().unwrap_or_default().to_owned()),
        };
        (place, format!("{what} has no effect here: the engine takes no notice of it"))
    }
}

/// The first such thing of a statement or an expression.
pub fn unheeded(sql: &impl Visit) -> Option<Unheeded> {
    match sql.visit(&mut Search) {
        ControlFlow::Break(found) => Some(found),
        ControlFlow::Continue(()) => None,
    }
}

/// Where words follow each other in a text, from a place on.
fn find(text: &str, words: &str, from: Location) -> Option<Span> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().ok()?;
    let mut tokens: Vec<_> =
        tokens.into_iter().filter(|found| !matches!(found.token, Token::Whitespace(_))).collect();
    tokens.retain(|found| found.span.start >= from);
    let words: Vec<&str> = words.split(' ').collect();
    let is_word = |(found, word): (&Token, &&str)| match found {
        Token::Word(found) => found.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    let found = tokens
        .windows(words.len())
        .find(|tokens| tokens.iter().map(|found| &found.token).zip(&words).all(is_word))?;
    Some(Span::new(found.first()?.span.start, found.last()?.span.end))
}

const LEAVE_OUT: &str = "leave it out";

fn no(words: &'static [&'static str], near: Span, help: &'static str) -> ControlFlow<Unheeded> {
    ControlFlow::Break(Unheeded { words, name: None, near, help })
}

/// The same, of what is called otherwise than it is written.
fn called(name: &'static str, found: ControlFlow<Unheeded>) -> ControlFlow<Unheeded> {
    found.map_break(|found| Unheeded { name: Some(name), ..found })
}

/// Refuses where something is there.
fn none_of(
    is_there: bool,
    words: &'static [&'static str],
    near: Span,
    help: &'static str,
) -> ControlFlow<Unheeded> {
    if is_there { no(words, near, help) } else { ControlFlow::Continue(()) }
}

struct Search;

impl Visitor for Search {
    type Break = Unheeded;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Unheeded> {
        let Query {
            with,
            body,
            order_by,
            limit_clause: _,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let near = body.span();
        for cte in with.iter().flat_map(|with| &with.cte_tables) {
            common_table(cte)?;
        }
        none_of(
            !locks.is_empty(),
            &[
                "for update",
                "for share",
                "for no key update",
                "for key share",
                "lock in share mode",
            ],
            near,
            "leave it out: a model only reads",
        )?;
        none_of(
            for_clause.is_some(),
            &["for xml", "for json", "for browse"],
            near,
            "leave it out: `tenure show --format json` prints a table as JSON",
        )?;
        none_of(
            settings.is_some(),
            &["settings"],
            near,
            "leave it out; see `engine:` of the pipeline",
        )?;
        none_of(
            format_clause.is_some(),
            &["format"],
            near,
            "leave it out; see `publish: { format: … }`",
        )?;
        none_of(
            fetch.is_some(),
            &["fetch first", "fetch next", "fetch"],
            near,
            "write `limit`; for rows with equal keys `qualify rank() over (order by …) <= …`",
        )?;
        let is_all = order_by.as_ref().is_some_and(|by| matches!(by.kind, OrderByKind::All(_)));
        none_of(
            is_all && !matches!(body.as_ref(), SetExpr::Select(_)),
            &["order by all"],
            near,
            "name the columns",
        )?;
        for operator in pipe_operators {
            if let PipeOperator::Aggregate { full_table_exprs, group_by_expr } = operator {
                let mut all = full_table_exprs.iter().chain(group_by_expr);
                let is_ordered =
                    all.any(|one| one.order_by.asc.is_some() || one.order_by.nulls_first.is_some());
                none_of(
                    is_ordered,
                    &["asc", "desc", "nulls"],
                    near,
                    "write `|> order by` behind it",
                )?;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Unheeded> {
        let Select {
            select_token,
            optimizer_hints,
            distinct: _,
            select_modifiers,
            // Refused by the planner.
            top: _,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from,
            lateral_views: _,
            prewhere,
            selection: _,
            connect_by,
            group_by,
            cluster_by: _,
            distribute_by,
            sort_by: _,
            having: _,
            named_window: _,
            qualify: _,
            window_before_qualify: _,
            value_table_mode,
            flavor: _,
        } = select;
        let near = select_token.0.span;
        let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
        called(
            "a hint",
            none_of(!optimizer_hints.is_empty(), &["select"], near, "leave out `/*+ … */`"),
        )?;
        none_of(
            select_modifiers.is_some(),
            &[
                "straight_join",
                "high_priority",
                "sql_small_result",
                "sql_big_result",
                "sql_buffer_result",
                "sql_no_cache",
                "sql_calc_found_rows",
            ],
            near,
            LEAVE_OUT,
        )?;
        none_of(
            exclude.is_some(),
            &["exclude"],
            near,
            "write it behind the star, `* exclude (…)`",
        )?;
        none_of(
            into.is_some(),
            &["into"],
            near,
            "leave it out: the path of a model names its table",
        )?;
        none_of(prewhere.is_some(), &["prewhere"], near, "write `where`")?;
        none_of(
            !connect_by.is_empty(),
            &["connect by", "start with"],
            near,
            "write `with recursive`",
        )?;
        none_of(
            !modifiers.is_empty(),
            &["with rollup", "with cube", "with totals", "grouping sets"],
            near,
            "write `group by rollup (…)`, `cube (…)` or `grouping sets (…)`",
        )?;
        none_of(!distribute_by.is_empty(), &["distribute by"], near, LEAVE_OUT)?;
        none_of(
            value_table_mode.is_some(),
            &["as value", "as struct", "distinct as value", "distinct as struct"],
            near,
            "name the columns",
        )?;
        for table in from {
            all_joins(&table.joins)?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Unheeded> {
        match table {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let near = name.span();
                sampled(sample.is_some(), near)?;
                none_of(
                    version.is_some(),
                    &[
                        "for system_time",
                        "timestamp as of",
                        "version as of",
                        "at",
                        "before",
                        "changes",
                    ],
                    near,
                    "leave it out: a run reads what stands on its day",
                )?;
                none_of(!with_hints.is_empty(), &["with"], near, LEAVE_OUT)?;
                none_of(
                    !index_hints.is_empty(),
                    &[
                        "use index",
                        "use key",
                        "force index",
                        "force key",
                        "ignore index",
                        "ignore key",
                    ],
                    near,
                    LEAVE_OUT,
                )?;
                none_of(!partitions.is_empty(), &["partition"], near, "write `where`")?;
                none_of(json_path.is_some(), &["path"], near, "name the columns")?;
                ordinal(*with_ordinality, near)?;
                let has_settings = args.as_ref().is_some_and(|args| args.settings.is_some());
                none_of(has_settings, &["settings"], near, LEAVE_OUT)?;
                aliased(alias.as_ref())
            }
            TableFactor::Derived { lateral: _, subquery, alias, sample } => {
                sampled(sample.is_some(), subquery.span())?;
                aliased(alias.as_ref())
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                let near = name.span();
                ordinal(*with_ordinality, near)?;
                let is_named = |arg: &FunctionArg| !matches!(arg, FunctionArg::Unnamed(_));
                none_of(
                    args.iter().any(is_named),
                    &["the name of an argument"],
                    near,
                    "write the arguments in their order, without names",
                )?;
                aliased(alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                all_joins(&table_with_joins.joins)?;
                aliased(alias.as_ref())
            }
            TableFactor::UNNEST { alias, .. } => aliased(alias.as_ref()),
            // The planner refuses the others.
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Unheeded> {
        match expr {
            Expr::Function(call) => function(call),
            Expr::Cast { data_type, expr, .. } => kind(data_type, expr.span()),
            Expr::TypedString(TypedString { data_type, value, .. }) => kind(data_type, value.span),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn common_table(cte: &Cte) -> ControlFlow<Unheeded> {
    let Cte { alias, query: _, from, materialized, closing_paren_token: _ } = cte;
    let near = alias.name.span;
    none_of(
        materialized.is_some(),
        &["not materialized", "materialized"],
        near,
        "leave it out; a step of its own is computed once",
    )?;
    none_of(from.is_some(), &["from"], near, LEAVE_OUT)?;
    aliased(Some(alias))
}

fn all_joins(joins: &[Join]) -> ControlFlow<Unheeded> {
    for Join { relation, global, join_operator: _ } in joins {
        none_of(*global, &["global"], relation.span(), LEAVE_OUT)?;
    }
    ControlFlow::Continue(())
}

fn aliased(alias: Option<&TableAlias>) -> ControlFlow<Unheeded> {
    let Some(TableAlias { explicit: _, name, columns, at }) = alias else {
        return ControlFlow::Continue(());
    };
    let typed = columns.iter().find(|column| column.data_type.is_some());
    if let Some(column) = typed {
        return no(&["the type of a column"], column.name.span, "cast the column where it is read");
    }
    none_of(at.is_some(), &["at"], name.span, "number the rows with `row_number()`")
}

fn sampled(is_there: bool, near: Span) -> ControlFlow<Unheeded> {
    none_of(
        is_there,
        &["tablesample", "using sample", "sample"],
        near,
        "leave it out: tables are made of all rows; pick some by a remainder, `customer_id % 100 = 0`",
    )
}

fn ordinal(is_there: bool, near: Span) -> ControlFlow<Unheeded> {
    none_of(is_there, &["with ordinality"], near, "number the rows with `row_number()`")
}

/// Lengths that a value would be cut to elsewhere.
fn kind(data_type: &DataType, near: Span) -> ControlFlow<Unheeded> {
    match data_type {
        DataType::Varchar(Some(_))
        | DataType::Nvarchar(Some(_))
        | DataType::Char(Some(_))
        | DataType::Character(Some(_))
        | DataType::CharVarying(Some(_))
        | DataType::CharacterVarying(Some(_))
        | DataType::String(Some(_)) => called(
            "the length of a text",
            no(
                &[
                    "varchar",
                    "nvarchar",
                    "character varying",
                    "char varying",
                    "character",
                    "char",
                    "string",
                ],
                near,
                "write `varchar` without a length, and `left(…, 10)` to cut a text",
            ),
        ),
        DataType::Double(info) | DataType::Float(info) => called(
            "the number of places",
            none_of(
                matches!(info, ExactNumberInfo::PrecisionAndScale(..)),
                &["double", "float"],
                near,
                "write `decimal(18,2)`, or `double` without places",
            ),
        ),
        _ => ControlFlow::Continue(()),
    }
}

/// Functions of one row: what belongs to aggregates and windows is left out.
static OF_A_ROW: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let functions = SessionStateDefaults::default_scalar_functions();
    let named = |name: &str, aliases: &[String]| {
        std::iter::once(name.to_owned()).chain(aliases.iter().cloned()).collect::<Vec<_>>()
    };
    functions.iter().flat_map(|function| named(function.name(), function.aliases())).collect()
});

/// Functions of a window only: they take all rows of it, each once.
static OF_A_WINDOW: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let functions = SessionStateDefaults::default_window_functions();
    functions.iter().map(|function| function.name().to_owned()).collect()
});

/// Functions that can pass over nulls in a window.
const PASS_OVER_NULLS: [&str; 5] = ["first_value", "last_value", "nth_value", "lag", "lead"];

/// Aggregates that take equal values as often as they stand there.
fn counts_every_value(name: &str) -> bool {
    ["corr", "covar", "regr_", "approx_", "nth_value"].iter().any(|start| name.starts_with(start))
}

/// What stands with the arguments of a call.
#[derive(Default)]
struct With {
    distinct: bool,
    ignores_nulls: bool,
    has_nulls: bool,
    ordered: bool,
}

fn function(call: &Function) -> ControlFlow<Unheeded> {
    let Function {
        name,
        uses_odbc_syntax: _,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group,
    } = call;
    let near = name.span();
    none_of(
        !matches!(parameters, FunctionArguments::None),
        &["a second pair of brackets"],
        near,
        "write all arguments into one",
    )?;
    none_of(
        matches!(args, FunctionArguments::Subquery(_)),
        &["a query as the argument"],
        near,
        "put the query into brackets of its own, `f((select …))`",
    )?;
    let mut with = arguments(args);
    with.has_nulls |= null_treatment.is_some();
    with.ignores_nulls |= matches!(null_treatment, Some(NullTreatment::IgnoreNulls));
    let name = name.to_string().to_lowercase();
    let nulls: &[&str] = &["ignore nulls", "respect nulls"];
    let has_filter = filter.is_some();
    if OF_A_ROW.contains(&name) {
        let help = "leave it out: this function takes one row";
        none_of(with.distinct, &["distinct"], near, help)?;
        none_of(with.ordered, &["order by"], near, help)?;
        none_of(with.has_nulls, nulls, near, help)?;
        none_of(has_filter, &["filter"], near, "leave it out, or write `case when … then … end`")?;
        none_of(over.is_some(), &["over"], near, help)?;
        return none_of(!within_group.is_empty(), &["within group"], near, help);
    }
    if over.is_some() {
        none_of(!within_group.is_empty(), &["within group"], near, LEAVE_OUT)?;
        let passes = PASS_OVER_NULLS.contains(&name.as_str());
        none_of(
            with.ignores_nulls && !passes,
            nulls,
            near,
            "leave it out: nulls do not count anyway",
        )?;
        if OF_A_WINDOW.contains(&name) {
            let help = "leave it out: this function takes every row of its window";
            none_of(with.distinct, &["distinct"], near, help)?;
            none_of(has_filter, &["filter"], near, help)?;
        }
        return ControlFlow::Continue(());
    }
    let help = "count each value once in a step before";
    none_of(with.distinct && counts_every_value(&name), &["distinct"], near, help)
}

fn arguments(arguments: &FunctionArguments) -> With {
    let mut with = With::default();
    if let FunctionArguments::List(FunctionArgumentList { duplicate_treatment, args: _, clauses }) =
        arguments
    {
        with.distinct = matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct));
        for clause in clauses {
            match clause {
                FunctionArgumentClause::IgnoreOrRespectNulls(nulls) => {
                    with.has_nulls = true;
                    with.ignores_nulls |= matches!(nulls, NullTreatment::IgnoreNulls);
                }
                FunctionArgumentClause::OrderBy(_) => with.ordered = true,
                // The planner refuses the others.
                _ => {}
            }
        }
    }
    with
}

#[cfg(test)]
mod tests;
