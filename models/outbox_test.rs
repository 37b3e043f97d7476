//! No message is lost, reordered or stuck without a wake-up, for any interleaving of sending, flushing and
//! reading at the other end.

use std::io;
use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::{future, thread};
use tokio::sync::Notify;

use crate::every_schedule;
use crate::outbox::Outbox;

const SENDERS: u32 = 2;
const EACH: u32 = 3;

/// A connection with room for one message.
struct Link {
    state: Mutex<LinkState>,
    changed: Notify,
    arrived: Notify,
}

#[derive(Default)]
struct LinkState {
    under_way: Option<(u32, u32)>,
    closed: bool,
}

impl Link {
    fn try_send(&self, message: (u32, u32)) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.under_way.is_some() {
            return false;
        }
        state.under_way = Some(message);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Takes a message at the other end, which makes room.
    async fn take(&self) -> (u32, u32) {
        loop {
            let taken = self.state.lock().unwrap().under_way.take();
            if let Some(message) = taken {
                self.changed.notify_one();
                return message;
            }
            self.arrived.notified().await;
        }
    }

    fn close(&self) {
        self.state.lock().unwrap().closed = true;
        self.changed.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.state.lock().unwrap().closed
    }

    /// Waits for readability, here only the end of the connection, or, with `room`, for room.
    async fn ready(&self, room: bool) -> io::Result<bool> {
        loop {
            let (has_room, closed) = {
                let state = self.state.lock().unwrap();
                (state.under_way.is_none(), state.closed)
            };
            if closed || (room && has_room) {
                return Ok(has_room);
            }
            self.changed.notified().await;
        }
    }
}

fn exchange() {
    let link = Arc::new(Link {
        state: Mutex::default(),
        changed: Notify::new(),
        arrived: Notify::new(),
    });
    let outbox = Arc::new(Outbox::default());
    for sender in 0..SENDERS {
        let (link, outbox) = (Arc::clone(&link), Arc::clone(&outbox));
        thread::spawn(move || {
            for number in 0..EACH {
                outbox.send((sender, number), |message| link.try_send(*message));
            }
        });
    }
    let reader = {
        let link = Arc::clone(&link);
        thread::spawn(move || future::block_on(read_all(&link)))
    };
    future::block_on(async {
        while !link.is_closed() {
            let try_send = |message: &(u32, u32)| link.try_send(*message);
            outbox
                .wait(|room| link.ready(room), try_send)
                .await
                .unwrap();
        }
    });
    reader.join().unwrap();
    assert!(!outbox.has_queued());
}

async fn read_all(link: &Link) {
    let mut next = [0; SENDERS as usize];
    for _ in 0..SENDERS * EACH {
        let (sender, number) = link.take().await;
        assert_eq!(number, next[sender as usize], "in order, and once");
        next[sender as usize] += 1;
    }
    link.close();
}

#[test]
fn no_message_is_lost_or_waits_forever() {
    every_schedule(exchange);
}
