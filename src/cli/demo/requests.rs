//! Requests to one program, and which processes answered them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use roma_byob::{CodeToken, Error, ExecuteOptions, Execution, Report, Service};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bench::until_ready;

/// How long a request may wait for a process.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program and what it is asked.
#[derive(Debug, Clone)]
pub struct Question {
    pub service: Service,
    pub code: CodeToken,
    pub request: Bytes,
}

/// The answers, and the processes that gave them.
#[derive(Debug, Default)]
pub struct Answers {
    pub times: Vec<Duration>,
    pub responses: Vec<Bytes>,
    pub reports: Vec<Report>,
}

impl Answers {
    /// Adds one, and waits until its process is gone.
    async fn add(&mut self, answer: Answer) {
        self.responses.push(answer.response);
        self.times.push(answer.time);
        self.reports.push(answer.execution.report().await);
    }

    /// Returns the number of processes.
    ///
    /// # Errors
    ///
    /// If a process gave several answers or none, or has not ended by itself.
    pub fn processes(&self) -> Result<usize> {
        let named = self.reports.iter().filter_map(|report| {
            let has_ended = report.exit.is_some_and(|exit| exit.status.is_success());
            report.worker.as_ref().filter(|_| has_ended)
        });
        let processes = named.collect::<BTreeSet<_>>().len();
        let answers = self.times.len();
        ensure!(
            processes == answers,
            "{answers} answers came from {processes} processes that ended with code 0"
        );
        Ok(processes)
    }
}

/// One answer. Its execution has the report.
struct Answer {
    response: Bytes,
    time: Duration,
    execution: Execution,
}

impl Question {
    /// Asks `count` times, each time once all `workers` processes are ready.
    pub async fn ask_one_by_one(&self, count: usize, workers: u32) -> Result<Answers> {
        let mut answers = Answers::default();
        for _ in 0..count {
            self.until_ready(workers).await?;
            answers.add(self.ask().await?).await;
        }
        Ok(answers)
    }

    /// Asks with several clients for a time, and returns when the last answer was there, too.
    pub async fn ask_at_once(&self, clients: usize, time: Duration) -> Result<(Answers, Duration)> {
        let since = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let question = self.clone();
            tasks.spawn(async move { question.ask_until(since + time).await });
        }
        let mut all = Vec::new();
        while let Some(answers) = tasks.join_next().await {
            all.extend(answers??);
        }
        let took = since.elapsed();
        let mut answers = Answers::default();
        for answer in all {
            answers.add(answer).await;
        }
        Ok((answers, took))
    }

    /// Waits until this many processes are ready.
    pub async fn until_ready(&self, workers: u32) -> Result<()> {
        let ready = until_ready(&self.service, &self.code, workers);
        if timeout(PATIENCE, ready).await.is_err() {
            if let Some(error) = self.service.status(&self.code)?.failure {
                return Err(error.into());
            }
            bail!("{workers} processes were not ready within {PATIENCE:?}");
        }
        Ok(())
    }

    async fn ask_until(self, end: Instant) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::new();
        while Instant::now() < end {
            answers.push(self.ask().await?);
        }
        Ok(answers)
    }

    async fn ask(&self) -> Result<Answer, Error> {
        let options = ExecuteOptions {
            queue_timeout: PATIENCE,
            ..ExecuteOptions::default()
        };
        let since = Instant::now();
        let request = self.request.clone();
        let mut execution = self.service.execute(&self.code, request, options);
        let response = (&mut execution).await?;
        Ok(Answer {
            response,
            time: since.elapsed(),
            execution,
        })
    }
}

#[cfg(test)]
mod tests {
    use roma_byob::{ExecutionId, Exit, ExitStatus, Usage};

    use super::*;

    fn answers(processes: &[(&str, ExitStatus)]) -> Answers {
        let mut answers = Answers::default();
        for (name, status) in processes {
            let mut report = Report::new(ExecutionId::next(), 0);
            report.worker = Some((*name).to_owned());
            report.exit = Some(Exit {
                status: *status,
                usage: Usage::default(),
            });
            answers.times.push(Duration::ZERO);
            answers.reports.push(report);
        }
        answers
    }

    #[test]
    fn each_answer_must_come_from_a_process_of_its_own_that_ended() {
        const ENDED: ExitStatus = ExitStatus::Code(0);
        let count = |processes: &[(&str, ExitStatus)]| answers(processes).processes();
        assert_eq!(count(&[("a", ENDED), ("b", ENDED)]).unwrap(), 2);
        assert!(count(&[("a", ENDED), ("a", ENDED)]).is_err());
        assert!(count(&[("a", ENDED), ("b", ExitStatus::Signal(9))]).is_err());
        let mut lost = answers(&[("a", ENDED)]);
        lost.reports[0].exit = None;
        assert!(lost.processes().is_err());
    }
}
