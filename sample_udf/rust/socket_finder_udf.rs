//! Searches the file system for sockets.

use std::os::unix::fs::FileTypeExt;
use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{SampleRequest, SocketSearchResponse};
use roma_sample_udf::file_system::walk;
use roma_sample_udf::message::{Unanswerable, response};

fn main() -> ExitCode {
    roma_udf::try_serve(|request: SampleRequest| match request.task {
        Some(Task::SocketSearch(request)) => {
            Ok(response(Outcome::SocketSearch(search(&request.root))))
        }
        _ => Err(Unanswerable),
    })
}

fn search(root: &str) -> SocketSearchResponse {
    let mut sockets = Vec::new();
    let mut visited = 0;
    let unreadable = walk(root, |path, file_type| {
        visited += 1;
        if file_type.is_socket() {
            sockets.push(path.display().to_string());
        }
    });
    SocketSearchResponse {
        sockets,
        visited,
        unreadable: unreadable.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_found() {
        let root = std::env::temp_dir().join(format!("search-{}", std::process::id()));
        std::fs::create_dir_all(root.join("below")).unwrap();
        let socket = root.join("below/socket");
        UnixListener::bind(&socket).unwrap();
        let found = search(root.to_str().unwrap());
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found.sockets, [socket.to_str().unwrap()]);
        assert_eq!(found.visited, 3);
        assert!(found.unreadable.is_empty());
    }
}
