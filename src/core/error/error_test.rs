use super::*;
use crate::exit::{ExitStatus, Usage};

fn crash() -> Error {
    let exit = Exit {
        status: ExitStatus::Signal(11),
        usage: Usage::default(),
    };
    Error::StartCrashed {
        exit,
        log_tail: "no model\n".into(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("line 3: unexpected token")]
struct SyntaxError;

impl Failure for SyntaxError {
    fn fault(&self) -> Fault {
        Fault::Udf
    }

    fn grpc_code(&self) -> GrpcCode {
        GrpcCode::InvalidArgument
    }

    fn name(&self) -> &'static str {
        "syntax"
    }
}

/// An error of each kind.
fn every_kind() -> Vec<Error> {
    let failure = Arc::new(SandboxFailure::new("its program ended"));
    let step = StepFailure {
        step: Step::Clone,
        errno: nix::libc::ENOMEM,
    };
    let limit = Duration::from_secs(1);
    let io = || io::Error::from_raw_os_error(nix::libc::EMFILE);
    vec![
        ConfigError::HostFunction("f".into()).into(),
        Error::Engine(Arc::new(SyntaxError)),
        Error::UnknownToken(CodeToken::new(1, 2)),
        Error::RequestTooLarge { size: 2, limit: 1 },
        Error::QueueFull { limit: 1 },
        Error::NoWorker {
            waited: limit,
            cause: Some(Box::new(Error::host("make a pipe", io()))),
        },
        Error::Cancelled,
        Error::Deleted,
        Error::ShutDown,
        Error::NeverReady {
            limit,
            log_tail: "loading".into(),
        },
        crash(),
        Error::Deadline { limit },
        Error::Response(ResponseError::Undecodable("invalid tag".into())),
        Error::WorkerStart(step),
        Error::PoolSetup(step),
        Error::SandboxStart(Arc::clone(&failure)),
        Error::SandboxDied(failure),
        Error::host("make a pipe", io()),
        Error::Internal("the retry loop ended"),
    ]
}

#[test]
fn a_missing_worker_passes_its_cause_on() {
    let error = Error::NoWorker {
        waited: Duration::ZERO,
        cause: Some(Box::new(crash())),
    };
    assert_eq!(error.fault(), Fault::Udf);
    assert!(!error.retryable());
    assert_eq!(error.log_tail(), Some("no model\n"));
    assert_eq!(error.exit().unwrap().status, ExitStatus::Signal(11));
    assert_eq!(error.grpc_code(), GrpcCode::Unavailable);
    let text = error.to_string();
    assert!(
        text.contains("SIGSEGV") && text.contains("no model"),
        "{text}"
    );
}

#[test]
fn a_busy_pool_may_be_asked_again() {
    let error = Error::NoWorker {
        waited: Duration::from_secs(1),
        cause: None,
    };
    assert!(error.retryable());
    assert_eq!(error.grpc_code(), GrpcCode::ResourceExhausted);
}

#[test]
fn a_service_that_was_shut_down_leaves_the_request_to_another_replica() {
    assert!(Error::ShutDown.retryable());
    assert_eq!(Error::ShutDown.grpc_code(), GrpcCode::Unavailable);
}

#[test]
fn a_defect_of_roma_is_not_the_callers_fault() {
    let error = Error::Internal("the retry loop ended");
    assert_eq!(error.fault(), Fault::Host);
    assert_eq!(error.grpc_code(), GrpcCode::Internal);
    assert!(error.to_string().contains("report"));
}

#[test]
fn a_sandbox_that_ran_out_of_memory_is_the_udfs_fault_and_not_retried() {
    let mut failure = SandboxFailure::new("its program ended");
    let died = Error::SandboxDied(Arc::new(failure.clone()));
    assert_eq!((died.fault(), died.retryable()), (Fault::Sandbox, true));
    failure.out_of_memory = true;
    let starved = Error::SandboxDied(Arc::new(failure));
    assert_eq!(
        (starved.fault(), starved.retryable(), starved.name()),
        (Fault::Udf, false, "out_of_memory")
    );
    assert_eq!(starved.grpc_code(), GrpcCode::ResourceExhausted);
    assert!(starved.to_string().contains("memory ran out"), "{starved}");
}

#[test]
fn a_deadline_of_zero_is_the_callers_fault_and_any_other_the_udfs() {
    let zero = Error::Deadline {
        limit: Duration::ZERO,
    };
    assert_eq!(zero.fault(), Fault::Caller);
    assert_eq!(
        zero.to_string(),
        "the deadline left no time: no UDF was asked"
    );
    let limit = Duration::from_nanos(1);
    assert_eq!(Error::Deadline { limit }.fault(), Fault::Udf);
}

#[test]
fn an_engines_failure_tells_everything_itself_and_is_found_by_its_type() {
    let error = Error::Engine(Arc::new(SyntaxError));
    assert_eq!(
        (error.fault(), error.retryable(), error.name()),
        (Fault::Udf, false, "syntax")
    );
    assert_eq!(error.grpc_code(), GrpcCode::InvalidArgument);
    assert!(error.engine_failure::<SyntaxError>().is_some());
    assert!(error.engine_failure::<Error>().is_none());
    assert!(Error::Cancelled.engine_failure::<SyntaxError>().is_none());
}

#[test]
fn no_error_prints_its_cause_twice() {
    for error in every_kind() {
        let mut source = std::error::Error::source(&error);
        let text = error.to_string();
        while let Some(cause) = source {
            assert!(
                !text.contains(&cause.to_string()),
                "{text:?} and its source"
            );
            source = cause.source();
        }
    }
}

/// Clears the screen, in three ways, and turns the direction of what follows.
const HOSTILE: &str = "\x1b[2J\u{9b}2J\u{202e}\r\x7f";

#[derive(Debug, thiserror::Error)]
#[error("{HOSTILE}")]
struct Repeats;

impl Failure for Repeats {
    fn fault(&self) -> Fault {
        Fault::Udf
    }

    fn grpc_code(&self) -> GrpcCode {
        GrpcCode::InvalidArgument
    }

    fn name(&self) -> &'static str {
        "repeats"
    }
}

#[test]
fn no_error_shows_what_a_udf_printed_as_it_is() {
    let log_tail = || format!("first\n{HOSTILE}");
    let exit = Exit {
        status: ExitStatus::Code(1),
        usage: Usage::default(),
    };
    let limit = Duration::from_secs(1);
    let failure = Arc::new(SandboxFailure {
        what: HOSTILE.into(),
        step: None,
        exit: None,
        out_of_memory: false,
        log_tail: log_tail(),
    });
    let crash = Error::StartCrashed {
        exit,
        log_tail: log_tail(),
    };
    for error in [
        Error::Engine(Arc::new(Repeats)),
        Error::NoWorker {
            waited: limit,
            cause: Some(Box::new(crash.clone())),
        },
        Error::NeverReady {
            limit,
            log_tail: log_tail(),
        },
        crash,
        Error::Died {
            exit,
            log_tail: log_tail(),
        },
        Error::Response(ResponseError::Undecodable(HOSTILE.into())),
        Error::SandboxStart(Arc::clone(&failure)),
        Error::SandboxDied(failure),
    ] {
        for text in [error.to_string(), format!("{error:?}")] {
            let is_raw = |letter: char| {
                letter != '\n' && HOSTILE.contains(letter) && !"[2J".contains(letter)
            };
            assert!(!text.contains(is_raw), "{text:?}");
        }
        assert!(error.to_string().contains("\\u001b[2J"), "{error}");
        assert!(error.log_tail().is_none_or(|raw| raw.contains('\x1b')));
    }
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let errors = every_kind();
    let names: std::collections::HashSet<_> = errors.iter().map(Failure::name).collect();
    assert_eq!(names.len(), errors.len());
}

#[test]
fn a_binary_that_the_kernel_does_not_execute_is_the_udfs_fault() {
    let start = |step, errno| Error::WorkerStart(StepFailure { step, errno });
    let refused = start(Step::Exec, nix::libc::ENOEXEC);
    assert_eq!((refused.fault(), refused.retryable()), (Fault::Udf, false));
    assert_eq!(refused.grpc_code(), GrpcCode::FailedPrecondition);
    assert!(
        refused.to_string().contains("the binary is damaged"),
        "{refused}"
    );
    for other in [
        start(Step::Exec, nix::libc::ENOMEM),
        start(Step::Clone, nix::libc::EINVAL),
    ] {
        assert_eq!(other.fault(), Fault::Sandbox);
        assert!(!other.to_string().contains("binary"), "{other}");
    }
}

#[test]
fn steps_tell_their_number() {
    let error = Error::WorkerStart(StepFailure {
        step: Step::Clone,
        errno: nix::libc::EAGAIN,
    });
    assert_eq!(
        (error.step(), error.errno()),
        (Some(Step::Clone), Some(nix::libc::EAGAIN))
    );
    assert!(error.retryable());
    let error = Error::WorkerStart(StepFailure {
        step: Step::Exec,
        errno: nix::libc::EACCES,
    });
    assert!(!error.retryable());
    assert_eq!(error.fault(), Fault::Sandbox);
}
