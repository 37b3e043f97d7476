//! Load options in JSON, as [`roma_core::Code`] carries them.

use std::time::Duration;

use roma_core::ConfigError;
use roma_pool::Readiness;
use serde_json::{Map, Value};

use super::{LoadOptions, Logs};

/// What each value of an option must be, for error messages.
type Expected = &'static str;

const COUNT: Expected = "a whole number that is not negative";
const SECONDS: Expected = "a number of seconds that is not negative";
const BOOL: Expected = "true or false";

impl LoadOptions {
    /// Reads options from JSON. They have the names of the fields of [`LoadOptions`] and
    /// [`Limits`](crate::Limits); durations are in seconds, sizes in bytes; `logs` is the number of bytes
    /// to keep. An option that is not given has its default.
    ///
    /// ```
    /// use roma_byob::LoadOptions;
    /// use serde_json::json;
    ///
    /// let json = json!({ "workers": 8, "start_timeout": 2.5, "limits": { "processes": 16 } });
    /// let options = LoadOptions::from_json("score", json.as_object().unwrap()).unwrap();
    /// assert_eq!((options.workers, options.limits.processes), (8, 16));
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::LoadOptionValue`] names an option that does not exist, or what its value must be.
    pub fn from_json(name: &str, json: &Map<String, Value>) -> Result<Self, ConfigError> {
        let mut options = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        for (option, value) in json {
            options
                .set(option, value)
                .map_err(|reason| wrong(option, reason))?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &str, value: &Value) -> Result<(), String> {
        match option {
            "workers" => self.workers = count(value)?,
            "max_live" => self.max_live = Some(count(value)?),
            "max_waiting" => self.max_waiting = count(value)?,
            "spawners" => self.spawners = Some(count(value)?),
            "readiness" => self.readiness = readiness(value)?,
            "start_timeout" => self.start_timeout = seconds(value)?,
            "exit_grace" => self.exit_grace = seconds(value)?,
            "logs" => self.logs = logs(value)?,
            "limits" => each(value, |name, value| self.set_limit(name, value))?,
            "pool_limits" => each(value, |name, value| self.set_pool_limit(name, value))?,
            "env" => self.env = env(value)?,
            "args" => self.args = args(value)?,
            "max_response" => self.max_response = count(value)?,
            "max_request" => self.max_request = count(value)?,
            "private_tmp" => self.private_tmp = Some(count(value)?),
            "proc" => self.proc = boolean(value)?,
            "host_functions" => self.host_functions = boolean(value)?,
            "own_sandbox" => self.own_sandbox = boolean(value)?,
            "program_copies" => self.program_copies = count(value)?,
            _ => return Err("there is no such option".to_owned()),
        }
        Ok(())
    }

    fn set_limit(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let limits = &mut self.limits;
        match name {
            "cpu_time" => limits.cpu_time = Some(seconds(value)?),
            "address_space" => limits.address_space = Some(count(value)?),
            "data" => limits.data = Some(count(value)?),
            "open_files" => limits.open_files = count(value)?,
            "file_size" => limits.file_size = Some(count(value)?),
            "processes" => limits.processes = count(value)?,
            "stack" => limits.stack = count(value)?,
            _ => return Err(format!("there is no limit `{name}`")),
        }
        Ok(())
    }

    fn set_pool_limit(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let limits = &mut self.pool_limits;
        match name {
            "memory" => limits.memory = Some(count(value)?),
            "processes" => limits.processes = Some(count(value)?),
            "cpu_millis" => limits.cpu_millis = Some(count(value)?),
            _ => return Err(format!("there is no limit `{name}`")),
        }
        Ok(())
    }
}

fn wrong(option: &str, reason: String) -> ConfigError {
    ConfigError::LoadOptionValue {
        option: option.to_owned(),
        reason,
    }
}

fn must_be(expected: Expected, value: &Value) -> String {
    format!("it must be {expected}, not {value}")
}

fn count<T: TryFrom<u64>>(value: &Value) -> Result<T, String> {
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| must_be(COUNT, value))
}

fn seconds(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_f64();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| must_be(SECONDS, value))
}

fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| must_be(BOOL, value))
}

fn readiness(value: &Value) -> Result<Readiness, String> {
    match value.as_str() {
        Some("byte") => Ok(Readiness::Byte),
        Some("none") => Ok(Readiness::None),
        _ => Err(must_be("\"byte\" or \"none\"", value)),
    }
}

fn logs(value: &Value) -> Result<Logs, String> {
    Ok(match count(value)? {
        0 => Logs::Off,
        max_bytes => Logs::Tail { max_bytes },
    })
}

fn each(
    value: &Value,
    mut set: impl FnMut(&str, &Value) -> Result<(), String>,
) -> Result<(), String> {
    let object = value
        .as_object()
        .ok_or_else(|| must_be("an object", value))?;
    object.iter().try_for_each(|(name, value)| {
        set(name, value).map_err(|reason| format!("`{name}`: {reason}"))
    })
}

fn env(value: &Value) -> Result<Vec<(String, String)>, String> {
    let mut env = Vec::new();
    each(value, |name, value| {
        let text = value.as_str().ok_or_else(|| must_be("a string", value))?;
        env.push((name.to_owned(), text.to_owned()));
        Ok(())
    })?;
    Ok(env)
}

fn args(value: &Value) -> Result<Vec<String>, String> {
    let strings = || must_be("a list of strings", value);
    let list = value.as_array().ok_or_else(strings)?;
    let texts = list.iter().map(|arg| arg.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(strings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &Value) -> Result<LoadOptions, ConfigError> {
        LoadOptions::from_json("score", json.as_object().unwrap())
    }

    #[test]
    fn every_option_is_read() {
        let options = read(&json!({
            "workers": 1, "max_live": 2, "max_waiting": 3, "spawners": 4, "readiness": "none",
            "start_timeout": 0.5, "exit_grace": 6, "logs": 7,
            "limits": {
                "cpu_time": 8, "address_space": 9, "data": 10, "open_files": 11, "file_size": 12,
                "processes": 13, "stack": 14,
            },
            "pool_limits": { "memory": 15, "processes": 16, "cpu_millis": 17 },
            "env": { "A": "B" }, "args": ["c"], "max_response": 18, "max_request": 19,
            "private_tmp": 20, "proc": true, "host_functions": true, "program_copies": 21,
            "own_sandbox": true,
        }));
        let options = options.unwrap();
        assert_eq!(options.name, "score");
        assert_eq!(options.readiness, Readiness::None);
        assert_eq!(options.start_timeout, Duration::from_millis(500));
        assert_eq!(options.logs, Logs::Tail { max_bytes: 7 });
        assert_eq!(options.limits.stack, 14);
        assert_eq!(options.pool_limits.cpu_millis, Some(17));
        assert_eq!(options.env, [("A".to_owned(), "B".to_owned())]);
        assert_eq!(options.private_tmp, Some(20));
        assert!(options.proc && options.host_functions);
        assert_eq!(options.program_copies, 21);
        assert!(options.own_sandbox);
    }

    #[test]
    fn a_wrong_option_is_refused_with_its_name_and_the_reason() {
        for (json, name, reason) in [
            (json!({ "wrokers": 1 }), "wrokers", "no such option"),
            (json!({ "workers": -1 }), "workers", "whole number"),
            (
                json!({ "workers": 5_000_000_000_u64 }),
                "workers",
                "whole number",
            ),
            (json!({ "start_timeout": "1s" }), "start_timeout", "seconds"),
            (json!({ "limits": { "fds": 1 } }), "limits", "`fds`"),
            (json!({ "args": [1] }), "args", "list of strings"),
        ] {
            let text = read(&json).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(reason), "{text}");
        }
    }
}
