//! Text becomes a [`Plan`]: every file of the project is read, checked and
//! resolved, and all its problems are reported at once. Pure: the same texts
//! and values give the same plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::model::{self, Model, TableName};
use super::order::{self, Models};
use super::params::{ParamValue, Params, Values};
use super::spec::{self, ParamBody, Raw, Spanned, Spec};
use super::tables::Tables;
use super::types::IdType;
use super::{EnginePlan, Plan, PlannedTable, PublishPlan, SourcePlan};
use super::{fingerprint, fitted, outer, rules, tables, typecheck};
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
    let (mut models, shared, model_problems) = read_project(project);
    problems.extend(model_problems);
    let Some(spec) = spec else { return Err(problems) };

    let params = declare(shared, &spec, &mut problems);
    let values = resolve(&params, &spec, request, &mut problems);
    fitted::add(&mut models, &values, &mut problems);
    if problems.is_empty() {
        problems.extend(fitted::out_of_range(&values, &spec));
    }
    problems.extend(check_params(&models, &params, &spec));
    problems.extend(order::check_reads(&models));
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
    let tables = tables::choose(&spec, &models, &sources, request, &values, &mut problems);
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

/// Everything that stands in files, before any pipeline is looked at.
fn read_project(project: &Project) -> (Models, Params, Vec<Problem>) {
    let mut models = Models::new();
    let mut problems = Vec::new();
    for source in &project.models {
        let name = source.path.strip_prefix("sql/").and_then(|path| path.strip_suffix(".sql"));
        let Some(name) = name.and_then(|path| TableName::parse(&path.replace('/', "."))) else {
            let message = "a model stands in `sql/<schema>/<table>.sql`";
            problems.push(Problem::named(&source.path, message));
            continue;
        };
        let (model, found) = model::read(name.clone(), source);
        problems.extend(found);
        models.extend(model.map(|model| (name, model)));
    }
    let mut params = Params::new();
    if let Some(source) = &project.params {
        let (found, param_problems) = spec::read_params(source);
        params = found;
        problems.extend(param_problems);
    }
    (models, params, problems)
}

/// The project's parameters and the pipeline's own.
fn declare(shared: Params, spec: &Spec, problems: &mut Vec<Problem>) -> Params {
    let mut params = shared;
    for written in &spec.params {
        let name = &written.name.value;
        match &written.body {
            ParamBody::Declared(param) => {
                if let Some(known) = params.get(name)
                    && known.kind != param.kind
                {
                    let message = format!("parameter `{name}` is `{}` in this project", known.kind);
                    problems.push(Problem::at(&written.name.at, message));
                    continue;
                }
                let mut param = param.clone();
                if let Some(known) = params.get(name) {
                    // What a pipeline leaves out is as the project says,
                    // except the default: none means that a run must say it.
                    param.one_of =
                        if param.one_of.is_empty() { known.one_of.clone() } else { param.one_of };
                    param.doc = param.doc.or_else(|| known.doc.clone());
                }
                params.insert(name.clone(), param);
            }
            ParamBody::Value(_) if !params.contains_key(name) => {
                let help = suggest(name, params.keys().map(String::as_str))
                    .filter(|help| help.starts_with("did"))
                    .unwrap_or_else(|| format!("declare it: `{name}: {{ type: …, default: … }}`"));
                let message = format!("no parameter `{name}` is declared in this project");
                problems.push(Problem::at(&written.name.at, message).help(help));
            }
            ParamBody::Value(_) => {}
        }
    }
    params
}

/// Values by precedence: command line, pipeline, default.
fn resolve(params: &Params, spec: &Spec, request: &Request, problems: &mut Vec<Problem>) -> Values {
    let mut values = Values::new();
    for (name, param) in params {
        if let Some(default) = &param.default {
            values.insert(name.clone(), default.clone());
        }
    }
    for written in &spec.params {
        let name = &written.name.value;
        if let (ParamBody::Value(raw), Some(param)) = (&written.body, params.get(name)) {
            let value = match &raw.value {
                Raw::Null => Ok(ParamValue::Null),
                Raw::Text(text) => accept(param, text),
            };
            match value {
                Ok(value) => drop(values.insert(name.clone(), value)),
                Err(reason) => {
                    let message = format!("parameter `{name}`: {reason}");
                    problems.push(Problem::at(&raw.at, message));
                }
            }
        }
    }
    if let Some(models) = &spec.models {
        fitted::values(models, params, &mut values, problems);
    }
    let as_of = request.as_of.iter().map(|day| ("as_of".to_string(), day.clone()));
    for (name, text) in as_of.chain(request.params.iter().cloned()) {
        let flag = if name == "as_of" { "--as-of".into() } else { format!("--param {name}") };
        let Some(param) = params.get(&name) else {
            let known: Vec<&str> = params.keys().map(String::as_str).collect();
            // However many: nothing else lists them to who has no `sql/` folder.
            let help = suggest(&name, known.iter().copied())
                .unwrap_or_else(|| format!("known: {}", known.join(", ")));
            let message = format!("no parameter `{name}` in this project");
            problems.push(Problem::new(message).help(help));
            continue;
        };
        match accept(param, &text) {
            Ok(value) => drop(values.insert(name, value)),
            Err(reason) => problems.push(Problem::new(format!("{flag}: {reason}"))),
        }
    }
    fill(params, spec, request.purpose, &mut values, problems);
    values
}

/// A value as a parameter takes it, or why not.
pub(super) fn accept(param: &super::params::Param, text: &str) -> Result<ParamValue, String> {
    let value = param.kind.value(text)?;
    if param.one_of.is_empty() || param.one_of.contains(&value) {
        return Ok(value);
    }
    let allowed: Vec<String> = param.one_of.iter().map(ToString::to_string).collect();
    Err(format!("`{value}` is not one of {}", allowed.join(", ")))
}

/// Parameters nobody gave: an error in a run, a sample in a check.
fn fill(
    params: &Params,
    spec: &Spec,
    purpose: Purpose,
    values: &mut Values,
    problems: &mut Vec<Problem>,
) {
    for (name, param) in params {
        if values.contains_key(name) {
            continue;
        }
        values.insert(name.clone(), param.kind.sample());
        if purpose == Purpose::Check || problems.iter().any(|p| p.message.starts_with("--")) {
            continue;
        }
        let written = spec.params.iter().find(|written| written.name.value == *name);
        let at = written.map_or_else(|| spec.source.whole(), |written| written.name.at.clone());
        let help = match name.as_str() {
            "as_of" => "pass --as-of YYYY-MM-DD".to_string(),
            _ => format!("pass --param {name}=…"),
        };
        let problem = Problem::at(&at, format!("parameter `{name}` has no value")).help(help);
        problems.push(match name.as_str() {
            "as_of" => problem
                .note("note", "it has no default on purpose: a run must say which day it is about"),
            _ => problem,
        });
    }
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
        for word in &model.header.params {
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
            table.schema == "quarantine"
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
