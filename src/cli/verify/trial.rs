//! Running a UDF as a service would, with what may make the difference: its protocol of readiness and
//! the level of the filter.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_byob::{
    CodeToken, Error, ExecuteOptions, Fault, LoadOptions, Outcome, Readiness, Report, Service,
    SyscallFilter,
};

use crate::target::Target;
use crate::terminal::progress;

/// How often it is asked once more, to see whether it answers each time and how fast it starts.
const REPETITIONS: usize = 5;
/// Descriptors that any program gets along with: its four, and some for what it does.
pub const FEW_DESCRIPTORS: u32 = 16;
/// How long the end of the request before may take, and what comes before a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a UDF is asked, and how long it has.
#[derive(Debug, Clone)]
pub struct Question {
    pub binary: Bytes,
    pub options: LoadOptions,
    pub request: Bytes,
    /// For getting ready, and again for answering.
    pub limit: Duration,
}

/// How a UDF was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub filter: SyscallFilter,
    pub readiness: Readiness,
}

/// How far it got.
#[derive(Debug)]
pub enum Got {
    /// Not even a service could be started.
    Nowhere(Error),
    /// It could not be loaded.
    Unloaded(Error),
    /// It did not answer.
    Unanswered(Error),
    /// It did.
    Answered(Box<Answer>),
}

/// An answer, and what was seen around it.
#[derive(Debug)]
pub struct Answer {
    pub response: Bytes,
    pub report: Report,
    /// From the bytes to the first process that is ready.
    pub load: Duration,
    /// What came of the same request again and again, each time after the process before was gone.
    pub again: Vec<Outcome>,
    /// Whether it answers with few descriptors, too.
    pub few_descriptors: bool,
}

/// One way to run it, and what came of that.
#[derive(Debug)]
pub struct Trial {
    pub setting: Setting,
    pub got: Got,
}

impl Trial {
    fn answered(&self) -> bool {
        matches!(self.got, Got::Answered(_))
    }

    /// Whether it has not said that it is ready, and lives.
    fn is_silent(&self) -> bool {
        matches!(self.got, Got::Unloaded(Error::NeverReady { .. }))
    }

    /// Whether it is known to be the UDF that fails.
    pub fn is_udfs_fault(&self) -> bool {
        match &self.got {
            Got::Unloaded(error) | Got::Unanswered(error) => error.fault() == Fault::Udf,
            Got::Nowhere(_) | Got::Answered(_) => false,
        }
    }
}

/// What to try, in this order: the strictest first, each with the protocol that should be spoken.
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

/// Tries until it answers. The first trial is how it should be run, the last how it answers, if it
/// does.
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
        // The verdict names the mode, so that has to be the mode.
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

/// One process at a time: the next one starts when the one before is gone, while a request waits.
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
