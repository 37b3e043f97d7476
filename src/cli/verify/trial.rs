//! Running a UDF as a service would, with different readiness protocols and filter
//! levels.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_byob::{
    CodeToken, Error, ExecuteOptions, Fault, LoadOptions, Outcome, Readiness, Report, Service,
    SyscallFilter,
};

use crate::options::target::Target;
use crate::output::terminal::progress;

/// The number of further requests, which show whether it responds each time and how fast it starts.
const REPETITIONS: usize = 5;
/// The descriptor limit that suffices for any program: its four, and some for its work.
pub const FEW_DESCRIPTORS: u32 = 16;
/// How long the end of the previous request and the start of a worker may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The request to a UDF, and its time limit.
#[derive(Debug, Clone)]
pub struct Question {
    pub binary: Bytes,
    pub options: LoadOptions,
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

    /// Returns whether it is alive and has not sent the readiness byte.
    fn is_silent(&self) -> bool {
        matches!(self.got, Got::Unloaded(Error::NeverReady { .. }))
    }

    /// Returns whether the failure is known to be the UDF's.
    pub fn is_udfs_fault(&self) -> bool {
        match &self.got {
            Got::Unloaded(error) | Got::Unanswered(error) => error.fault() == Fault::Udf,
            Got::Nowhere(_) | Got::Answered(_) => false,
        }
    }
}

/// The settings to try in order: the strictest filter first, each with the current protocol.
fn settings(strictest: SyscallFilter) -> Vec<Setting> {
    use SyscallFilter::{Engine, None, Strict};
    let levels: &[SyscallFilter] = match strictest {
        Strict => &[Strict, Engine, None],
        Engine => &[Engine, None],
        None => &[None],
    };
    let protocols = [Readiness::Byte, Readiness::None];
    levels
        .iter()
        .flat_map(|filter| protocols.map(|readiness| (*filter, readiness)))
        .map(|(filter, readiness)| Setting { filter, readiness })
        .collect()
}

/// Tries settings until it responds. The first trial has the wanted setting, the last the one with
/// which it responds, if any.
pub async fn until_it_answers(target: &Target, question: &Question) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for setting in settings(target.filter()) {
        let last = trials.last();
        if setting.readiness == Readiness::None && !last.is_some_and(Trial::is_silent) {
            continue;
        }
        let trial = run(target, question, setting).await;
        let settled = trial.answered() || !trial.is_udfs_fault();
        trials.push(trial);
        if settled {
            break;
        }
    }
    trials
}

async fn run(target: &Target, question: &Question, setting: Setting) -> Trial {
    progress(&format!("Trying filter level {} ...", setting.filter));
    let builder = target
        .builder()
        .syscall_filter(setting.filter)
        // The verdict names the mode, so the environment must not change it.
        .obey_environment(false)
        .banner(false);
    let got = match builder.start().await {
        Err(error) => Got::Nowhere(error),
        Ok(service) => {
            let got = attempt(&service, question, setting.readiness).await;
            service.shutdown().await;
            got
        }
    };
    Trial { setting, got }
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
    fn the_strictest_level_is_tried_first_with_the_protocol_that_should_be_spoken() {
        let tried: Vec<_> = settings(SyscallFilter::Strict)
            .iter()
            .map(|setting| (setting.filter, setting.readiness))
            .collect();
        assert_eq!(tried[0], (SyscallFilter::Strict, Readiness::Byte));
        assert_eq!(tried[1], (SyscallFilter::Strict, Readiness::None));
        assert_eq!(tried[5], (SyscallFilter::None, Readiness::None));
        assert_eq!(settings(SyscallFilter::None).len(), 2);
    }
}
