//! Requests in the background.

use roma_byob::{Canceller, Outcome};
use tokio::task::JoinHandle;

use super::command::Call;

/// A request in the background.
#[derive(Debug)]
pub struct Job {
    pub number: u32,
    pub call: Call,
    canceller: Canceller,
    work: JoinHandle<Outcome>,
}

/// A request that is over. Its outcome is an error only if its task panicked.
#[derive(Debug)]
pub struct Done {
    pub number: u32,
    pub call: Call,
    pub outcome: anyhow::Result<Outcome>,
}

/// The requests in the background.
#[derive(Debug, Default)]
pub struct Jobs {
    running: Vec<Job>,
    last: u32,
}

impl Jobs {
    /// Adds a request in flight. Returns its number.
    pub fn add(&mut self, call: Call, canceller: Canceller, work: JoinHandle<Outcome>) -> u32 {
        self.last += 1;
        self.running.push(Job {
            number: self.last,
            call,
            canceller,
            work,
        });
        self.last
    }

    /// Cancels one request, or all. Returns how many.
    pub fn cancel(&self, number: Option<u32>) -> usize {
        let wanted = |job: &&Job| number.is_none_or(|number| number == job.number);
        let jobs = self.running.iter().filter(wanted);
        jobs.map(|job| job.canceller.cancel()).count()
    }

    pub fn running(&self) -> &[Job] {
        &self.running
    }

    /// Removes and returns the requests that are over, or all of them after waiting if `wait` is true.
    pub async fn finished(&mut self, wait: bool) -> Vec<Done> {
        let over = |job: &Job| wait || job.work.is_finished();
        let (over, running) = self.running.drain(..).partition(over);
        self.running = running;
        let mut done = Vec::new();
        let over: Vec<Job> = over;
        for job in over {
            done.push(Done {
                number: job.number,
                call: job.call,
                outcome: job.work.await.map_err(Into::into),
            });
        }
        done
    }
}
