//! Which parameters there are, and which value each has in a run.

use super::compile::{Purpose, Request};
use super::fitted;
use super::params::{ParamValue, Params, Values};
use super::spec::{ParamBody, Raw, Spec};
use crate::problem::{Problem, suggest};

/// The project's parameters and the pipeline's own.
pub fn declare(shared: Params, spec: &Spec, problems: &mut Vec<Problem>) -> Params {
    let mut params = shared;
    let mut changed = Vec::new();
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
                    if param.default == Some(ParamValue::Null)
                        && let Err(reason) = known.accept_null()
                    {
                        let message = format!("the default of parameter `{name}`: {reason}");
                        problems.push(Problem::at(&written.name.at, message));
                        continue;
                    }
                    // What a pipeline leaves out is as the project says,
                    // except the default: none means that a run must say it.
                    param.one_of =
                        if param.one_of.is_empty() { known.one_of.clone() } else { param.one_of };
                    param.bounds.inherit(&known.bounds);
                    param.is_nullable = known.is_nullable;
                    param.doc = param.doc.or_else(|| known.doc.clone());
                }
                changed.push((written.name.at.clone(), name.clone()));
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
    // The binary itself takes days by it, whatever the project says of it.
    if let Some(timezone) = params.get_mut("timezone") {
        timezone.is_zone = true;
        changed.push((spec.pipeline.at.clone(), "timezone".into()));
    }
    // Held to all that is known of them now, not only to their own declaration.
    for (at, name) in changed {
        if let Some(param) = params.get(&name)
            && let Some(default) = &param.default
            && let Err(reason) = param.check(default)
        {
            let message = format!("the default of parameter `{name}`: {reason}");
            // Its own declaration may have been told already, in its place.
            if !problems.iter().any(|problem| problem.message == message) {
                problems.push(Problem::at(&at, message));
            }
        }
    }
    params
}

/// Values by precedence: command line, pipeline, default.
pub fn resolve(
    params: &Params,
    spec: &Spec,
    request: &Request,
    problems: &mut Vec<Problem>,
) -> Values {
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
                Raw::Null => param.accept_null(),
                Raw::Text(text) => param.accept(text),
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
    if let Some((_, other)) = request.params.iter().find(|(name, _)| name == "as_of")
        && let Some(day) = request.as_of.as_ref().filter(|day| *day != other)
    {
        let message = format!("--as-of {day} and --param as_of={other} are two days");
        problems.push(Problem::new(message).help("say the day once, with --as-of"));
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
        match param.accept(&text) {
            Ok(value) => drop(values.insert(name, value)),
            Err(reason) => problems.push(Problem::new(format!("{flag}: {reason}"))),
        }
    }
    fill(params, spec, request.purpose, &mut values, problems);
    values
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
