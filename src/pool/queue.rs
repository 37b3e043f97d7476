//! The requests that wait for a worker, in order, up to a limit.

use std::collections::VecDeque;

/// A bounded queue. `Q` is a request that waits.
#[derive(Debug)]
pub(crate) struct Queue<Q> {
    requests: VecDeque<Q>,
    limit: usize,
}

impl<Q> Queue<Q> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            requests: VecDeque::new(),
            limit,
        }
    }

    /// Queues a request, unless the queue is full. `is_gone` tells which requests have given up.
    pub(crate) fn push(&mut self, request: Q, is_gone: impl Fn(&Q) -> bool) -> Result<(), Q> {
        if self.requests.len() >= self.limit {
            self.prune(is_gone);
        }
        if self.requests.len() >= self.limit {
            return Err(request);
        }
        self.requests.push_back(request);
        Ok(())
    }

    /// Drops the requests that have given up.
    pub(crate) fn prune(&mut self, is_gone: impl Fn(&Q) -> bool) {
        self.requests.retain(|request| !is_gone(request));
    }

    /// Takes the request that waits longest.
    pub(crate) fn pop(&mut self) -> Option<Q> {
        self.requests.pop_front()
    }

    /// Returns the number of requests that wait.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Returns whether no request waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Drops all requests.
    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_gave_up_make_room_in_a_full_queue() {
        let mut queue = Queue::new(2);
        queue.push(1, |_| false).unwrap();
        queue.push(2, |_| false).unwrap();
        assert_eq!(queue.push(3, |_| false), Err(3));
        queue.push(4, |request| *request == 1).unwrap();
        assert_eq!(queue.pop(), Some(2));
        assert_eq!(queue.pop(), Some(4));
        assert!(queue.is_empty());
    }
}
