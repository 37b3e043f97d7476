//! Inputs that arrive in pieces.

/// The first byte is the size of the pieces, the second a limit; the rest are the bytes that arrive.
pub(crate) struct Pieces<'a> {
    pub(crate) limit: usize,
    pub(crate) bytes: &'a [u8],
    size: usize,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(input: &'a [u8]) -> Option<Self> {
        let (&[size, limit], bytes) = input.split_first_chunk()?;
        Some(Self {
            limit: usize::from(limit) * 4,
            bytes,
            size: usize::from(size) + 1,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.size)
    }
}
