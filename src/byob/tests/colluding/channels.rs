//! Lets requests tell and others hear.

use std::collections::BTreeSet;

use nix::errno::Errno;
use roma_byob::{CodeToken, LoadOptions, SyscallFilter};

use super::player::{Player, Stage};
use super::verdict::{BITS, bits, is_heard, is_suspect};
use crate::common::{TestBed, udf, workers};

/// In how many parts the tricks are tried, those of a part at once.
const PARTS: usize = 4;

async fn load(stage: &Stage, options: LoadOptions) -> CodeToken {
    let options = LoadOptions {
        host_functions: true,
        private_tmp: Some(4 << 20),
        // What all spawners of a code have in common, the processes of one of them have as well.
        spawners: Some(1),
        ..options
    };
    stage
        .service
        .load(udf("colluding_udf"), options)
        .await
        .unwrap()
}

/// Some tricks, and the bits that each tells.
struct Message {
    names: Vec<String>,
    bits: Vec<Vec<bool>>,
}

impl Message {
    fn new(names: Vec<String>, attempt: usize) -> Self {
        let bits = names.iter().map(|name| bits(name, attempt)).collect();
        Self { names, bits }
    }

    fn open(&self, side: &str) -> String {
        format!("{side} {}", self.names.join(" "))
    }

    /// The command to put the bits of a round.
    fn put(&self, round: usize) -> String {
        let bit = |bits: &Vec<bool>| if bits[round] { '1' } else { '0' };
        format!("put {}", self.bits.iter().map(bit).collect::<String>())
    }

    /// The command to put zeros.
    fn clear(&self) -> String {
        format!("put {}", "0".repeat(self.names.len()))
    }

    /// The tricks whose bits a hearer saw, which looked once in each round.
    fn seen(&self, looks: &[Vec<i64>], seen: fn(&[bool], &[i64]) -> bool) -> BTreeSet<String> {
        let values = |trick: usize| -> Vec<i64> { looks.iter().map(|look| look[trick]).collect() };
        let tricks = self.names.iter().zip(&self.bits).enumerate();
        let seen = tricks.filter(|(trick, (_, bits))| seen(bits, &values(*trick)));
        seen.map(|(_, (name, _))| name.clone()).collect()
    }
}

/// Distributes the tricks so that those of a kind, which disturb each other, are in different parts.
fn parts(names: &[String], count: usize) -> impl Iterator<Item = Vec<String>> {
    let part = move |first| names.iter().skip(first).step_by(count).cloned().collect();
    (0..count).map(part)
}

async fn names(stage: &Stage, code: &CodeToken) -> Vec<String> {
    let mut player = Player::start(stage, code).await;
    let names = player.ask("names").await;
    player.end().await;
    let names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
    assert!(names.len() >= 40, "{names:?}");
    names
}

/// Who tells and who hears: each side is a request of one of these codes.
struct Cast<'a> {
    stage: &'a Stage,
    teller: &'a CodeToken,
    hearers: &'a [&'a CodeToken],
    /// Whether the teller ends before the hearers start, in each round.
    is_over: bool,
}

impl Cast<'_> {
    /// Returns what was heard by any hearer: what is suspect when many tell at once, and is heard when it tells alone.
    async fn heard(&self, names: &[String]) -> BTreeSet<String> {
        // What is left does not use up what others need, and each part takes two processes for each bit.
        let count = if self.is_over { 1 } else { PARTS };
        let mut suspects = BTreeSet::new();
        for part in parts(names, count) {
            suspects.extend(self.seen(Message::new(part, 0), is_suspect).await);
        }
        let mut heard = BTreeSet::new();
        for suspect in suspects {
            heard.extend(self.seen(Message::new(vec![suspect], 1), is_heard).await);
        }
        heard
    }

    async fn seen(&self, message: Message, seen: fn(&[bool], &[i64]) -> bool) -> BTreeSet<String> {
        let looks = match self.is_over {
            true => self.looks_afterwards(&message).await,
            false => self.looks_meanwhile(&message).await,
        };
        looks
            .iter()
            .flat_map(|looks| message.seen(looks, seen))
            .collect()
    }

    /// What each hearer sees in each round, while the teller lives.
    async fn looks_meanwhile(&self, message: &Message) -> Vec<Vec<Vec<i64>>> {
        let mut teller = Player::start(self.stage, self.teller).await;
        teller.ask(&message.open("tell")).await;
        let mut hearers = Vec::new();
        for code in self.hearers {
            let mut hearer = Player::start(self.stage, code).await;
            hearer.ask(&message.open("hear")).await;
            hearers.push((hearer, Vec::new()));
        }
        for round in 0..BITS {
            teller.ask(&message.put(round)).await;
            hearers.iter().for_each(|(hearer, _)| hearer.send("look"));
            for (hearer, looks) in &mut hearers {
                looks.push(hearer.numbers_of_result().await);
            }
        }
        // Else the next teller, another user, could not remove what is left, and its zeros would be silent.
        teller.ask(&message.clear()).await;
        teller.end().await;
        let mut all = Vec::new();
        for (hearer, looks) in hearers {
            hearer.end().await;
            all.push(looks);
        }
        all
    }

    /// What the first hearer finds in each round, after a teller has come and gone.
    async fn looks_afterwards(&self, message: &Message) -> Vec<Vec<Vec<i64>>> {
        let mut looks = Vec::new();
        for round in 0..BITS {
            let mut teller = Player::start(self.stage, self.teller).await;
            teller.ask(&message.open("tell")).await;
            teller.ask(&message.put(round)).await;
            teller.end().await;
            let mut hearer = Player::start(self.stage, self.hearers[0]).await;
            hearer.ask(&message.open("hear")).await;
            looks.push(hearer.numbers("look").await);
            hearer.end().await;
        }
        vec![looks]
    }
}

/// Returns the tricks by which a request of the same code, or of other code, heard one that lived at the same time.
pub async fn heard_by_live_requests(bed: &TestBed) -> BTreeSet<String> {
    let stage = Stage::new(bed).await;
    let code = load(&stage, workers(2)).await;
    let other = load(&stage, workers(1)).await;
    let names = names(&stage, &code).await;
    let cast = Cast {
        stage: &stage,
        teller: &code,
        hearers: &[&code, &other],
        is_over: false,
    };
    let heard = cast.heard(&names).await;
    stage.service.shutdown().await;
    heard
}

/// Returns the tricks by which a request heard an earlier one, whose place it took.
pub async fn heard_by_later_requests(bed: &TestBed) -> BTreeSet<String> {
    let stage = Stage::new(bed).await;
    let options = LoadOptions {
        max_live: Some(1),
        ..workers(1)
    };
    let code = load(&stage, options).await;
    let names = names(&stage, &code).await;
    let cast = Cast {
        stage: &stage,
        teller: &code,
        hearers: &[&code],
        is_over: true,
    };
    let heard = cast.heard(&names).await;
    stage.service.shutdown().await;
    heard
}

/// Tricks by which a process hears another of the same request in every sandbox.
const OWN: &[&str] = &[
    "file_in_tmp",
    "flags_of_data",
    "futex_shared_library",
    "open_file_lock_program",
    "process_numbers",
    "record_lock_library",
    "signal_to_group",
];

/// Asserts that a process hears another of the same request sooner or later: by each trick where only namespaces
/// protect, and elsewhere by some.
pub async fn assert_heard_within_a_request(bed: &TestBed) {
    let stage = Stage::new(bed).await;
    let code = load(&stage, workers(1)).await;
    let all = !bed.is_gvisor() && matches!(bed.filter, SyscallFilter::None);
    let mut silent = names(&stage, &code).await;
    silent.retain(|name| all || OWN.contains(&&**name));
    for part in parts(&silent.clone(), PARTS) {
        let heard = heard_from_child(&stage, &code, Message::new(part, 0)).await;
        silent.retain(|name| !heard.contains(name));
    }
    // Those that disturb each other, once more and alone.
    for name in silent {
        eprintln!("{name}");
        assert_heard_alone(&stage, &code, &name).await;
    }
    stage.service.shutdown().await;
}

async fn assert_heard_alone(stage: &Stage, code: &CodeToken, name: &str) {
    for attempt in 1.. {
        let message = Message::new(vec![name.to_owned()], attempt);
        let mut player = Player::start(stage, code).await;
        let errno = open_with_child(&mut player, &message).await[0];
        player.end().await;
        if [Errno::ENOSYS, Errno::ENOPROTOOPT].contains(&Errno::from_raw(errno as i32)) {
            eprintln!("this kernel does not have it");
            return;
        }
        assert_eq!(errno, 0, "{name}");
        if !heard_from_child(stage, code, message).await.is_empty() {
            return;
        }
    }
}

/// Opens both ends, the child's first. Returns an error for each trick, or 0.
async fn open_with_child(player: &mut Player, message: &Message) -> Vec<i64> {
    let tell = player
        .numbers(&format!("child {}", message.open("tell")))
        .await;
    let hear = player.numbers(&message.open("hear")).await;
    let errors = tell.iter().zip(&hear);
    errors.map(|(tell, hear)| *tell.max(hear)).collect()
}

async fn heard_from_child(stage: &Stage, code: &CodeToken, message: Message) -> BTreeSet<String> {
    let mut player = Player::start(stage, code).await;
    open_with_child(&mut player, &message).await;
    let mut looks = Vec::new();
    for round in 0..BITS {
        player.ask(&format!("child {}", message.put(round))).await;
        looks.push(player.numbers("look").await);
    }
    player.end().await;
    message.seen(&looks, is_heard)
}
