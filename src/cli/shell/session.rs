//! A session: a service, its loaded code, and its requests.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};
use roma_byob::{Error, ExecuteOptions, Execution, LogTail, Outcome, Report, Service, shown};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::answer;
use super::codes::{Codes, Loaded};
use super::command::{Call, Command};
use super::help;
use super::jobs::{Done, Jobs};
use crate::error::Explain;
use crate::options::descriptors::{self, snake_case};
use crate::options::loading::LoadArgs;
use crate::options::request;
use crate::output::summary::{Summary, short};

/// The settings of a session.
#[derive(Debug)]
pub struct Settings {
    pub workers: u32,
    pub load: LoadArgs,
    pub queue_timeout: Duration,
    pub deadline: Duration,
    pub log_file: Option<PathBuf>,
    /// Whether a person uses it, who may interrupt.
    pub interactive: bool,
}

/// The state that commands work on.
#[derive(Debug)]
pub struct Session {
    service: Service,
    api: Option<ServiceDescriptor>,
    settings: Settings,
    codes: Codes,
    jobs: Jobs,
    last_logs: Option<LogTail>,
    /// Ctrl-C in an interactive session. Otherwise it ends the program, as usual.
    interrupts: Option<Signal>,
}

impl Session {
    pub fn new(
        service: Service,
        api: Option<ServiceDescriptor>,
        settings: Settings,
    ) -> io::Result<Self> {
        let interrupts = settings.interactive.then(interrupts).transpose()?;
        Ok(Self {
            service,
            api,
            settings,
            codes: Codes::default(),
            jobs: Jobs::default(),
            last_logs: None,
            interrupts,
        })
    }

    /// Discards earlier interrupts, so that they do not cancel the next command.
    pub fn forget_interrupts(&mut self) -> io::Result<()> {
        if self.interrupts.is_some() {
            self.interrupts = Some(interrupts()?);
        }
        Ok(())
    }

    pub fn is_interactive(&self) -> bool {
        self.settings.interactive
    }

    /// Returns the names by which rpcs can be called.
    pub fn rpcs(&self) -> Vec<String> {
        let methods = self.api.iter().flat_map(ServiceDescriptor::methods);
        methods
            .flat_map(|method| [snake_case(method.name()), method.name().to_owned()])
            .collect()
    }

    /// Executes a command that concerns the service.
    pub async fn run(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Load { rpc, udf, workers } => self.load(rpc, udf, workers).await,
            Command::Execute { call, background } if background => self.begin(call),
            Command::Execute { call, .. } => self.execute(call).await,
            Command::Time { count, call } => self.time(count, call).await,
            Command::Wait => self.report_jobs(true).await,
            Command::Cancel(number) => self.cancel(number).await,
            Command::Delete(name) => self.delete(name).await,
            Command::List => {
                self.list();
                Ok(())
            }
            Command::Logs => self.logs(),
            Command::Help => {
                println!("{}", help::text(self.api.as_ref()));
                Ok(())
            }
            Command::Nothing | Command::Commands(_) | Command::Exit => Ok(()),
        }
    }

    /// Ends the service.
    pub async fn end(self) {
        self.service.shutdown().await;
    }

    async fn load(
        &mut self,
        rpc: Option<String>,
        udf: PathBuf,
        workers: Option<u32>,
    ) -> anyhow::Result<()> {
        let options = self
            .settings
            .load
            .options(workers.unwrap_or(self.settings.workers))?
            .keeping_logs();
        let rpc = self.method(rpc.as_deref())?.map(|m| m.name().to_owned());
        let token = self.service.load(&udf, options).await?;
        println!("code_token={token}");
        let replaced = self.codes.add(Loaded { token, udf, rpc });
        for old in replaced {
            self.service.delete(&old.token).await?;
            println!("{} is deleted: {token} takes its place", old.token);
        }
        Ok(())
    }

    fn method(&self, rpc: Option<&str>) -> anyhow::Result<Option<MethodDescriptor>> {
        let (Some(rpc), Some(api)) = (rpc, &self.api) else {
            return Ok(None);
        };
        let method = descriptors::method(api, Some(rpc))?;
        if method.is_client_streaming() || method.is_server_streaming() {
            bail!("{rpc} is a streaming rpc: a UDF answers one request with one response");
        }
        Ok(Some(method))
    }

    fn encode(&self, call: &Call) -> anyhow::Result<Bytes> {
        let Some(method) = self.method(call.rpc.as_deref())? else {
            return Ok(request::from_bytes(&call.request)?.into());
        };
        let encoded = request::from_json(&method.input(), &call.request)?;
        if let Some(ignored) = encoded.ignored {
            eprintln!("ignored: {ignored}");
        }
        Ok(encoded.bytes.into())
    }

    fn ask(&self, call: &Call, request: Bytes) -> anyhow::Result<Execution> {
        let method = self.method(call.rpc.as_deref())?;
        let name = method.as_ref().map(MethodDescriptor::name);
        let token = self
            .codes
            .of(name)
            .context("nothing is loaded for that; use: load [RPC] UDF")?;
        let options = ExecuteOptions {
            queue_timeout: self.settings.queue_timeout,
            deadline: self.settings.deadline,
            ..Default::default()
        };
        Ok(self.service.execute(&token, request, options))
    }

    async fn execute(&mut self, call: Call) -> anyhow::Result<()> {
        let execution = self.ask(&call, self.encode(&call)?)?;
        let outcome = self.unless_interrupted(execution).await;
        self.show(&call, outcome)
    }

    async fn unless_interrupted(&mut self, execution: Execution) -> Outcome {
        let canceller = execution.canceller();
        let work = execution.outcome();
        tokio::pin!(work);
        tokio::select! {
            outcome = &mut work => return outcome,
            () = next(&mut self.interrupts) => canceller.cancel(),
        }
        work.await
    }

    fn begin(&mut self, call: Call) -> anyhow::Result<()> {
        let execution = self.ask(&call, self.encode(&call)?)?;
        let canceller = execution.canceller();
        let work = tokio::spawn(execution.outcome());
        let number = self.jobs.add(call, canceller, work);
        println!("[{number}] is asked");
        Ok(())
    }

    /// Shows the results of background requests that are over, or of all after waiting for them.
    pub async fn report_jobs(&mut self, wait: bool) -> anyhow::Result<()> {
        let mut result = Ok(());
        for Done {
            number,
            call,
            outcome,
        } in self.jobs.finished(wait).await
        {
            let shown = match outcome? {
                Outcome {
                    result: Err(Error::Cancelled),
                    ..
                } => {
                    println!("[{number}] was cancelled");
                    continue;
                }
                outcome => {
                    println!("[{number}]");
                    self.show(&call, outcome)
                }
            };
            result = result.and(shown.with_context(|| format!("[{number}]")));
        }
        result
    }

    fn show(&mut self, call: &Call, outcome: Outcome) -> anyhow::Result<()> {
        let Outcome { result, report } = outcome;
        self.keep_logs(&report)?;
        let response = result?;
        let method = self.method(call.rpc.as_deref())?;
        match &call.output {
            Some(path) => {
                answer::append(path, &response, method.as_ref())?;
                println!("the response is in {}", path.display());
            }
            None => println!("{}", answer::text(&response, method.as_ref())?),
        }
        println!("{}", answer::summary(&report));
        Ok(())
    }

    fn keep_logs(&mut self, report: &Report) -> anyhow::Result<()> {
        self.last_logs.clone_from(&report.logs);
        match &self.settings.log_file {
            Some(path) => answer::append_logs(path, report),
            None => Ok(()),
        }
    }

    async fn time(&mut self, count: u32, call: Call) -> anyhow::Result<()> {
        let request = self.encode(&call)?;
        let mut times = Vec::new();
        for round in 1..=count {
            let execution = self.ask(&call, request.clone())?;
            let Outcome { result, report } = self.unless_interrupted(execution).await;
            result.with_context(|| format!("request {round} of {count}"))?;
            times.push(report.times.total());
        }
        let summary = Summary::of(times);
        println!(
            "{count} requests: p50 {}, p90 {}, p99 {}, max {}",
            short(summary.p50),
            short(summary.p90),
            short(summary.p99),
            short(summary.max)
        );
        Ok(())
    }

    async fn cancel(&mut self, number: Option<u32>) -> anyhow::Result<()> {
        if self.jobs.cancel(number) == 0 {
            match number {
                Some(number) => bail!("[{number}] is not under way"),
                None => bail!("no request is under way that was not waited for"),
            }
        }
        Ok(())
    }

    async fn delete(&mut self, name: Option<String>) -> anyhow::Result<()> {
        let code = self.codes.named(name.as_deref());
        let token = match (code, name) {
            (Some(code), _) => code.token,
            (None, Some(name)) => bail!("{name} is not loaded; list shows what is"),
            (None, None) => bail!("name the code to delete; list shows what is loaded"),
        };
        self.service.delete(&token).await?;
        self.codes.remove(token);
        println!("{token} is deleted");
        Ok(())
    }

    fn list(&self) {
        if self.codes.all().is_empty() {
            println!("nothing is loaded");
        }
        for code in self.codes.all() {
            println!("{}", self.line_of(code));
        }
        for job in self.jobs.running() {
            let name = job.call.rpc.as_deref().unwrap_or("execute");
            println!("[{}] {name} {}", job.number, job.call.request);
        }
    }

    fn line_of(&self, code: &Loaded) -> String {
        let rpc = code.rpc.as_deref().unwrap_or("all rpcs");
        let (token, udf) = (code.token, file_name(&code.udf));
        match self.service.status(&token) {
            Ok(status) => {
                let counts = status.counts;
                let health = match &status.failure {
                    Some(failure) => format!("; unhealthy: {failure}"),
                    None => String::new(),
                };
                format!(
                    "{token}  {udf} for {rpc}: {} ready, {} busy, {} started{health}",
                    counts.ready, counts.busy, status.started
                )
            }
            Err(error) => format!("{token}  {udf} for {rpc}: {}", error.explained()),
        }
    }

    fn logs(&self) -> anyhow::Result<()> {
        let logs = self.last_logs.as_ref().context("nothing was asked yet")?;
        if logs.dropped > 0 {
            println!("({} bytes before this are lost)", logs.dropped);
        }
        match logs.text.is_empty() {
            true => println!("it printed nothing"),
            false => println!("{}", shown(logs.text.trim_end())),
        }
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn interrupts() -> io::Result<Signal> {
    signal(SignalKind::interrupt())
}

async fn next(signals: &mut Option<Signal>) {
    let came = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending().await
    }
}
