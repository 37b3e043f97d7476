//! Messages on a spawner connection.

use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, ToSpawner};

/// A message that a spawner accepts has exactly one encoding.
pub fn to_spawner(packet: &[u8]) {
    if let Ok(message) = ToSpawner::decode(packet) {
        assert_eq!(packet.len(), MESSAGE_BYTES);
        assert_eq!(message.encode(), packet);
        if let ToSpawner::Spawn(spawn) = message {
            assert!((2..=3).contains(&spawn.descriptors()));
        }
    }
}

/// A message that the host accepts has exactly one encoding and reports at most one end of a process.
pub fn from_spawner(packet: &[u8]) {
    let Ok(message) = FromSpawner::decode(packet) else {
        return;
    };
    assert_eq!(packet.len(), MESSAGE_BYTES);
    assert_eq!(message.encode(), packet);
    if let FromSpawner::Exited(exited) = message {
        assert!(exited.status.code().is_none() || exited.status.signal().is_none());
    }
}
