//! How a worker reports that it waits for its request.

/// The two readiness protocols of UDFs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// The UDF writes one byte, of any value, to the data connection when it is ready.
    #[default]
    Byte,
    /// The older protocol: the UDF writes nothing before its response. Such a worker counts as ready
    /// as soon as its spawner reports [`crate::spawner::FromSpawner::Started`].
    Started,
}

impl Readiness {
    /// Returns the number of bytes that precede the response on the data connection.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Started => 0,
        }
    }
}
