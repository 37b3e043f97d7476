//! Running a UDF as a service would, with different readiness protocols and filter
//! levels.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_byob::{
    CodeToken, Error, ExecuteOptions, Fault, LoadOptions, Outcome, Readiness, Report, Service,
    ServiceBuilder, SyscallFilter,
};

use crate::options::loading::LoadArgs;
use crate::options::target::Target;
use crate::output::terminal::progress;

/// The number of further requests, which show whether it responds each time and how fast it starts.
const REPETITIONS: usize = 5;
/// The descriptor limit that suffices for any program: its four, and some for its work.
pub const FEW_DESCRIPTORS: u32 = 16;
/// How long the end of the previous request and the start of a worker may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The request to a UDF, where it runs, and its time limit.
#[derive(Debug, Clone)]
pub struct Question {
    pub target: Target,
    pub load: LoadArgs,
    /// The options of `load`.
    pub options: LoadOptions,
    pub binary: Bytes,
    pub request: Bytes,
    /// The limit for becoming ready, and then for responding.
    pub limit: Duration,
}

/// How a UDF was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub filter: SyscallFilter,
    pub readiness: Readiness,
}

/// How far a trial got.
#[derive(Debug)]
pub enum Got {
    /// The service could not be started.
    Nowhere(Error),
    /// It could not be loaded.
    Unloaded(Error),
    /// It did not answer.
    Unanswered(Error),
    /// It responded.
    Answered(Box<Answer>),
}

/// A response, and what was measured with it.
#[derive(Debug)]
pub struct Answer {
    pub response: Bytes,
    pub report: Report,
    /// The time from the load to the first ready worker.
    pub load: Duration,
    /// The outcomes of the same request, repeated each time after the previous process had ended.
    pub again: Vec<Outcome>,
    /// Whether it also responds with few descriptors.
    pub few_descriptors: bool,
}

/// One setting, and its result.
#[derive(Debug)]
pub struct Trial {
    pub setting: Setting,
    pub got: Got,
}

impl Trial {
    fn answered(&self) -> bool {
        matches!(self.got, Got::Answered(_))
    }

    pub fn answers_only_at_a_weaker_level_than(&self, asked: &Self) -> bool {
        self.answered() && self.setting.filter != asked.setting.filter
    }

    /// Returns whether it may speak the other protocol: it has not sent the readiness byte, or something
    /// that is not a response, such as that byte.
    fn may_speak_another_protocol(&self) -> bool {
        match self.setting.readiness {
            Readiness::Byte => matches!(self.got, Got::Unloaded(Error::NeverReady { .. })),
            Readiness::None => matches!(self.got, Got::Unanswered(Error::Response(_))),
        }
    }

    /// Returns whether the failure is known to be the UDF's.
    pub fn is_udfs_fault(&self) -> bool {
        match &self.got {
            Got::Unloaded(error) | Got::Unanswered(error) => error.fault() == Fault::Udf,
            Got::Nowhere(_) | Got::Answered(_) => false,
        }
    }
}

/// The settings to try in order: first what is asked for, then the other protocol, then weaker levels.
fn settings(asked: Setting) -> Vec<Setting> {
    use SyscallFilter::{Engine, None, Strict};
    let levels: &[SyscallFilter] = match asked.filter {
        Strict => &[Strict, Engine, None],
        Engine => &[Engine, None],
        None => &[None],
    };
    let other = match asked.readiness {
        Readiness::Byte => Readiness::None,
        Readiness::None => Readiness::Byte,
    };
    let protocols = [asked.readiness, other];
    levels
        .iter()
        .flat_map(|filter| protocols.map(|readiness| (*filter, readiness)))
        .map(|(filter, readiness)| Setting { filter, readiness })
        .collect()
}

/// Tries settings until it responds. The first trial has the wanted setting, the last the one with
/// which it responds, if any.
pub async fn until_it_answers(question: &Question) -> anyhow::Result<Vec<Trial>> {
    let asked = Setting {
        filter: question.target.filter(),
        readiness: question.options.readiness,
    };
    let mut trials: Vec<Trial> = Vec::new();
    for setting in settings(asked) {
        let last = trials.last();
        if setting.readiness != asked.readiness
            && !last.is_some_and(Trial::may_speak_another_protocol)
        {
            continue;
        }
        progress(&format!("Trying filter level {} ...", setting.filter));
        let got = run(question, setting, question.target.builder(), || Ok(())).await?;
        let trial = Trial { setting, got };
        let settled = trial.answered() || !trial.is_udfs_fault();
        trials.push(trial);
        if settled {
            break;
        }
    }
    Ok(trials)
}

/// Runs it in a service of its own, with something to do before it is loaded.
pub async fn run(
    question: &Question,
    setting: Setting,
    builder: ServiceBuilder,
    before_load: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Got> {
    let builder = builder
        .syscall_filter(setting.filter)
        // The verdict names the mode, so the environment must not change it.
        .obey_environment(false)
        .banner(false);
    let service = match question.load.host_functions(builder)?.start().await {
        Err(error) => return Ok(Got::Nowhere(error)),
        Ok(service) => service,
    };
    let got = match before_load() {
        Ok(()) => Ok(attempt(&service, question, setting.readiness).await),
        Err(error) => Err(error),
    };
    service.shutdown().await;
    got
}

async fn attempt(service: &Service, question: &Question, readiness: Readiness) -> Got {
    let options = options(question, readiness);
    let since = Instant::now();
    let code = match service.load(question.binary.clone(), options.clone()).await {
        Err(error) => return Got::Unloaded(error),
        Ok(code) => code,
    };
    let load = since.elapsed();
    let Outcome { result, report } = ask(service, &code, question).await;
    let response = match result {
        Err(error) => return Got::Unanswered(error),
        Ok(response) => response,
    };
    let mut again = Vec::new();
    for _ in 0..REPETITIONS {
        again.push(ask(service, &code, question).await);
    }
    Got::Answered(Box::new(Answer {
        response,
        report,
        load,
        again,
        few_descriptors: answers_with_few_descriptors(service, question, options).await,
    }))
}

/// One worker at a time: the next one starts when the previous one has ended, while a request waits.
fn options(question: &Question, readiness: Readiness) -> LoadOptions {
    LoadOptions {
        max_live: Some(1),
        readiness,
        start_timeout: question.limit,
        ..question.options.clone()
    }
}

async fn ask(service: &Service, code: &CodeToken, question: &Question) -> Outcome {
    let options = ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: question.limit,
        ..Default::default()
    };
    service
        .execute(code, question.request.clone(), options)
        .outcome()
        .await
}

async fn answers_with_few_descriptors(
    service: &Service,
    question: &Question,
    mut options: LoadOptions,
) -> bool {
    options.limits.open_files = FEW_DESCRIPTORS;
    match service.load(question.binary.clone(), options).await {
        Ok(code) => ask(service, &code, question).await.result.is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_tried_first() {
        let tried = |filter, readiness| -> Vec<_> {
            let settings = settings(Setting { filter, readiness });
            settings.iter().map(|s| (s.filter, s.readiness)).collect()
        };
        let all = tried(SyscallFilter::Strict, Readiness::Byte);
        assert_eq!(all[0], (SyscallFilter::Strict, Readiness::Byte));
        assert_eq!(all[1], (SyscallFilter::Strict, Readiness::None));
        assert_eq!(all[5], (SyscallFilter::None, Readiness::None));
        let last = tried(SyscallFilter::None, Readiness::None);
        let level = SyscallFilter::None;
        assert_eq!(last, [(level, Readiness::None), (level, Readiness::Byte)]);
    }
}
