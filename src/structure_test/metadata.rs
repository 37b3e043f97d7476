//! The test of an image's settings.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::layout::Settings;
use crate::suite::{Expected, MetadataTest, Value};

/// Returns how the settings differ from the expectation.
#[must_use]
pub fn check(test: &MetadataTest, settings: &Settings) -> Vec<String> {
    let mut problems = pairs("variable", &test.env_vars, &settings.variables());
    problems.extend(pairs("label", &test.labels, &settings.labels));
    problems.extend(unbound(test, settings));
    problems.extend(lists(test, settings));
    problems.extend(difference(
        "entrypoint",
        test.entrypoint.as_ref(),
        &settings.entrypoint,
    ));
    problems.extend(difference("cmd", test.cmd.as_ref(), &settings.cmd));
    let given = |text: &'_ String| !text.is_empty();
    problems.extend(difference(
        "workdir",
        Some(&test.workdir).filter(|it| given(it)),
        &settings.working_dir,
    ));
    problems.extend(difference(
        "user",
        Some(&test.user).filter(|it| given(it)),
        &settings.user,
    ));
    problems
}

fn pairs(what: &str, expected: &[Expected], are: &BTreeMap<String, String>) -> Vec<String> {
    let problem = |one: &Expected| {
        let key = &one.key;
        let Some(is) = are.get(key) else {
            return Some(format!("{what} {key}: expected, but missing"));
        };
        match &one.value {
            Value::Exactly(value) => difference(&format!("{what} {key}"), Some(value), is),
            Value::Like(pattern) => (!pattern.matches(is))
                .then(|| format!("{what} {key}: expected to match `{pattern}`, is {is:?}")),
        }
    };
    expected.iter().filter_map(problem).collect()
}

fn unbound(test: &MetadataTest, settings: &Settings) -> Vec<String> {
    let variables = settings.variables();
    let set = test
        .unbound_env_vars
        .iter()
        .filter_map(|one| variables.get_key_value(&one.key));
    set.map(|(key, is)| format!("variable {key}: must not be set, is {is:?}"))
        .collect()
}

fn lists(test: &MetadataTest, settings: &Settings) -> Vec<String> {
    // With and without the protocol, which Google's tool ignores.
    let ports: Vec<&str> = settings
        .exposed_ports
        .keys()
        .flat_map(|port| [port.as_str(), number(port)])
        .collect();
    let volumes: Vec<&str> = settings.volumes.keys().map(String::as_str).collect();
    [
        ("port", &test.exposed_ports, &ports, true),
        ("port", &test.unexposed_ports, &ports, false),
        ("volume", &test.volumes, &volumes, true),
        ("volume", &test.unmounted_volumes, &volumes, false),
    ]
    .into_iter()
    .flat_map(|(what, names, are, wanted)| {
        let must = if wanted {
            "expected, but missing"
        } else {
            "must not exist, but does"
        };
        let wrong = names
            .iter()
            .filter(move |name| are.contains(&name.as_str()) != wanted);
        wrong.map(move |name| format!("{what} {name}: {must}; there are {are:?}"))
    })
    .collect()
}

fn number(port: &str) -> &str {
    port.split('/').next().unwrap_or(port)
}

fn difference<T: Debug + PartialEq>(what: &str, expected: Option<&T>, is: &T) -> Option<String> {
    let expected = expected.filter(|expected| *expected != is)?;
    Some(format!("{what}: expected {expected:?}, is {is:?}"))
}
