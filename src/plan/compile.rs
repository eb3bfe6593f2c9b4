//! Text becomes a [`Plan`]: every file of the project is read, checked and
//! resolved, and all its problems are reported at once. Pure: the same texts
//! and values give the same plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::model::{self, Model, TableName};
use super::order::{self, Models};
use super::params::{ParamValue, Params, Values};
use super::spec::{self, Spanned, Spec};
use super::tables::Tables;
use super::types::IdType;
use super::{EnginePlan, Plan, PlannedTable, PublishPlan, SourcePlan};
use super::{fingerprint, fitted, header, outer, rules, tables, typecheck, values};
use crate::problem::{Problem, Source, suggest};

/// The texts of a project.
#[derive(Debug, Clone)]
pub struct Project {
    /// `sql/**/*.sql`, by path relative to the project folder.
    pub models: Vec<Arc<Source>>,
    /// `sql/params.yaml`.
    pub params: Option<Arc<Source>>,
}

/// What someone asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `--as-of`
    pub as_of: Option<String>,
    /// `--param name=value`
    pub params: Vec<(String, String)>,
    /// `--select`
    pub select: Vec<String>,
    /// Tables to make instead of those the pipeline lists.
    pub instead: Vec<String>,
    /// What the plan is for.
    pub purpose: Purpose,
    /// Fingerprints of texts that are known to be sound, see [`Plan::texts`].
    pub sound: BTreeSet<String>,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To be run: every parameter has a value, every variable is set.
    #[default]
    Run,
    /// To be looked at: values that only a run knows may be missing.
    Check,
}

/// Values of the environment, as given to the process.
pub type Variables = BTreeMap<String, String>;

/// Compiles one pipeline of a project.
///
/// # Errors
/// Every problem there is.
pub async fn compile(
    pipeline: &Arc<Source>,
    project: &Project,
    request: &Request,
    variables: &Variables,
) -> Result<Plan, Vec<Problem>> {
    let (mut spec, mut problems) = spec::read(pipeline);
    if let Some(spec) = &mut spec
        && !request.instead.is_empty()
    {
        let at = &spec.pipeline.at;
        let named = request.instead.iter();
        spec.tables = named.map(|name| Spanned { value: name.clone(), at: at.clone() }).collect();
    }
    let (mut models, broken, shared, model_problems) = read_project(project);
    problems.extend(model_problems);
    let (Some(spec), Some(shared)) = (spec, shared) else { return Err(problems) };

    let params = values::declare(shared, &spec, &mut problems);
    let values = values::resolve(&params, &spec, request, &mut problems);
    fitted::add(&mut models, &values, &mut problems);
    if problems.is_empty() {
        problems.extend(fitted::out_of_range(&values, &spec));
    }
    problems.extend(check_params(&models, &params, &spec));
    problems.extend(order::check_reads(&models, &broken));
    problems.extend(check_grain(&models));
    let texts = fingerprint::texts(pipeline, project, request);
    let is_known = request.sound.contains(&texts);
    if problems.is_empty() && !is_known {
        let sound: Vec<&Model> = models.values().collect();
        // A run meets the ids it has; a check answers for both kinds.
        let ids: &[IdType] = match request.purpose {
            Purpose::Run => &[IdType::Text],
            Purpose::Check => &[IdType::Text, IdType::Bigint],
        };
        problems.extend(typecheck::check(&sound, &params, &values, ids).await);
    }
    if problems.is_empty() && !is_known {
        problems.extend(rules::check(&models, &params, &values).await);
    }

    let sources = outer::sources(&spec, request.purpose, variables, &mut problems);
    let publish = outer::publish(&spec, request.purpose, variables, &mut problems);
    let engine = outer::engine(&spec, &mut problems);
    let tables = tables::choose(&spec, &models, &broken, request, &values, &mut problems);
    if problems.is_empty() && request.purpose == Purpose::Check {
        // Those that no pipeline lists, too.
        problems.extend(order::order(&models, &models.keys().cloned().collect()).err());
    }
    match (publish, problems.is_empty()) {
        (Some(publish), true) => {
            let outer = Outer { sources, publish, engine };
            let plan = assemble(&spec, models, params, values, outer, tables, texts);
            Ok(Plan { files: fingerprint::files(pipeline, project, &plan), ..plan })
        }
        _ => Err(problems),
    }
}

/// The name of a pipeline, whatever else is wrong with it.
///
/// # Errors
/// The problems of a pipeline that has none.
pub fn name(pipeline: &Arc<Source>) -> Result<String, Vec<Problem>> {
    let (spec, problems) = spec::read(pipeline);
    spec.map(|spec| spec.pipeline.value).ok_or(problems)
}

/// Where a pipeline publishes, whatever else is wrong with it or its models:
/// all that is needed to look at what is published.
///
/// # Errors
/// The problems of a pipeline that does not say it.
pub fn publishing(
    pipeline: &Arc<Source>,
    variables: &Variables,
) -> Result<PublishPlan, Vec<Problem>> {
    let (spec, mut problems) = spec::read(pipeline);
    let Some(spec) = spec else { return Err(problems) };
    outer::publish(&spec, Purpose::Run, variables, &mut problems).ok_or(problems)
}

/// Everything that stands in files, before any pipeline is looked at: models, the
/// names of those that cannot be read, parameters; none of these where their file
/// cannot be read, for then nobody knows which there are.
fn read_project(project: &Project) -> (Models, BTreeSet<TableName>, Option<Params>, Vec<Problem>) {
    let mut models = Models::new();
    let mut broken = BTreeSet::new();
    let mut problems = Vec::new();
    for source in &project.models {
        let name = source.path.strip_prefix("sql/").and_then(|path| path.strip_suffix(".sql"));
        let Some(name) = name.and_then(|path| TableName::parse(&path.replace('/', "."))) else {
            let message = "a model stands in `sql/<schema>/<table>.sql`";
            problems.push(Problem::named(&source.path, message));
            continue;
        };
        if !header::FOLDERS.contains(&name.schema.as_str()) {
            let message = format!("no folder of models is called `{}`", name.schema);
            let help = format!("models stand in {}", header::FOLDERS.join(", "));
            problems.push(Problem::named(&source.path, message).help(help));
            broken.insert(name);
            continue;
        }
        let (model, found) = model::read(name.clone(), source);
        problems.extend(found);
        match model {
            Some(model) if model.header.is_clear() => drop(models.insert(name, model)),
            _ => drop(broken.insert(name)),
        }
    }
    let mut params = Some(Params::new());
    if let Some(source) = &project.params {
        let (found, param_problems) = spec::read_params(source);
        params = found;
        problems.extend(param_problems);
    }
    (models, broken, params, problems)
}

/// Parameters the binary itself reads; a model need not.
const BUILT_IN: [&str; 4] = ["as_of", "timezone", "history_start", "currency"];

/// Parameters of models, which nothing reads where no model is asked for.
const OF_MODELS: [&str; 4] = ["purchase_model", "model_unit", "clv_horizon_days", "value_interval"];

/// Placeholders against declarations against headers, in all directions.
fn check_params(models: &Models, params: &Params, spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut used: BTreeSet<&str> = BUILT_IN.into_iter().chain(OF_MODELS).collect();
    for model in models.values() {
        for placeholder in &model.placeholders {
            let name = &placeholder.value;
            used.insert(name);
            if !params.contains_key(name) {
                let help = suggest(name, params.keys().map(String::as_str))
                    .filter(|help| help.starts_with("did"))
                    .unwrap_or_else(|| "declare it in `sql/params.yaml`".into());
                let message = format!("no parameter `{name}` is declared");
                problems.push(Problem::at(&placeholder.at, message).help(help));
            } else if !model.header.params.iter().any(|word| word.value == *name) {
                let message =
                    format!("`{}` uses `${name}`, its header does not say so", model.name);
                problems.push(
                    Problem::at(&placeholder.at, message)
                        .help("add it to `params`, or let `tenure check --fix` do it"),
                );
            }
        }
        // A misspelt name would be told again by the header.
        let all_known = model.placeholders.iter().all(|used| params.contains_key(&used.value));
        for word in model.header.params.iter().filter(|_| all_known) {
            if !model.placeholders.iter().any(|used| used.value == word.value) {
                let message =
                    format!("`{}` says it uses `{}`, the query does not", model.name, word.value);
                let help =
                    suggest(&word.value, model.placeholders.iter().map(|p| p.value.as_str()));
                problems.push(Problem::at(&word.at, message).maybe_help(help));
            }
        }
    }
    for written in &spec.params {
        let name = &written.name.value;
        if !used.contains(name.as_str()) && params.contains_key(name) {
            let help = suggest(name, used.iter().copied()).filter(|help| help.starts_with("did"));
            let message = format!("no model uses parameter `{name}`");
            problems.push(Problem::at(&written.name.at, message).maybe_help(help));
        }
    }
    problems
}

/// The grain is made of columns, and only a check has none.
fn check_grain(models: &Models) -> Vec<Problem> {
    let mut problems = Vec::new();
    for model in models.values().filter(|model| model.name.schema != "checks") {
        let header = &model.header;
        let columns = || header.columns.iter().map(|column| column.name.value.as_str());
        for word in &header.grain {
            if !columns().any(|column| column == word.value) {
                let message =
                    format!("the grain of `{}` names no column `{}`", model.name, word.value);
                problems.push(
                    Problem::at(&word.at, message).maybe_help(suggest(&word.value, columns())),
                );
            }
        }
        if header.grain.is_empty() && header.name.is_some() {
            let message = format!("the header of `{}` states no grain", model.name);
            problems.push(
                Problem::at(&model.source.whole(), message)
                    .help("add `-- grain   column, …`: the columns that name a row"),
            );
        }
    }
    problems
}

/// What a pipeline says of the world.
struct Outer {
    sources: Vec<SourcePlan>,
    publish: PublishPlan,
    engine: EnginePlan,
}

fn assemble(
    spec: &Spec,
    mut models: Models,
    params: Params,
    values: Values,
    outer: Outer,
    tables: Tables,
    texts: String,
) -> Plan {
    let built: BTreeSet<&TableName> = tables.run.iter().map(|(name, _)| name).collect();
    let answerable = |model: &Model| {
        let known = |table: &TableName| {
            let is_source = |source: &SourcePlan| source.kind.name == table.table;
            table.schema == "quarantine" && outer.sources.iter().any(is_source)
                || table.table == fitted::LAST_BACKTEST
                || built.contains(table)
        };
        model.tables.iter().all(|table| known(&table.value))
    };
    let checks: Vec<Model> = models
        .values()
        .filter(|model| model.name.schema == "checks" && answerable(model))
        .cloned()
        .collect();
    let as_of = match values.get("as_of") {
        Some(ParamValue::Date(day)) => *day,
        _ => NaiveDate::default(),
    };
    let run = tables.run.iter().filter_map(|(name, role)| {
        models.remove(name).map(|model| PlannedTable { model, role: *role })
    });
    let run = run.collect();
    let beside = tables.beside.iter().filter_map(|name| models.remove(name)).collect();
    Plan {
        pipeline: spec.pipeline.value.clone(),
        as_of,
        params,
        values,
        sources: outer.sources,
        tables: run,
        checks,
        beside,
        texts,
        files: BTreeMap::new(),
        publish: outer.publish,
        engine: outer.engine,
    }
}
