//! What a request asks for.

/// How much to do, as a request says it in words `name=number`. What is not named is 1, or off.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Determines the calls. It also marks the memory of this request.
    pub seed: u64,
    pub rounds: u64,
    /// The number of processes that a round starts.
    pub processes: u64,
    /// The number of threads in each of them.
    pub threads: u64,
    /// The number of calls of each thread.
    pub calls: u64,
    /// Whether calls can reach the connection to the service, and so spoil the answer.
    pub connection: bool,
    /// Whether the first process makes the calls itself, instead of starting others. It may not come to answer.
    pub first_process: bool,
    /// The owner of a mark that is put into memory, to see that it is found. 0 for none.
    pub planted: u64,
}

impl Plan {
    pub(crate) fn read(request: &str) -> Self {
        let number = |name: &str, otherwise: u64| {
            let mut words = request.split(' ').filter_map(|word| word.split_once('='));
            let found = words.find(|(key, _)| *key == name);
            found
                .and_then(|(_, text)| text.parse().ok())
                .unwrap_or(otherwise)
        };
        Self {
            seed: number("seed", 1),
            rounds: number("rounds", 1),
            processes: number("processes", 1),
            threads: number("threads", 1),
            calls: number("calls", 1),
            connection: number("connection", 0) == 1,
            first_process: number("first_process", 0) == 1,
            planted: number("planted", 0),
        }
    }
}
