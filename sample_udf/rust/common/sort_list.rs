//! Memory work: sorting a list.

use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{SampleRequest, SampleResponse, SortListResponse};

use crate::message::response;

const FIRST_STATE: u32 = 0x9e37_79b9;

/// A list that is part of the program. It makes the binary larger and its start slower.
#[must_use]
pub const fn constant_list<const LENGTH: usize>() -> [u32; LENGTH] {
    let mut list = [0; LENGTH];
    let mut state = FIRST_STATE;
    let mut index = 0;
    while index < LENGTH {
        state = next(state);
        list[index] = state;
        index += 1;
    }
    list
}

/// Generates the same list at run time.
#[must_use]
pub fn list(length: u32) -> Vec<u32> {
    let states = std::iter::successors(Some(next(FIRST_STATE)), |state| Some(next(*state)));
    states.take(length as usize).collect()
}

/// Sorts a list and summarises it.
#[must_use]
pub fn sort(mut list: Vec<u32>) -> SortListResponse {
    list.sort_unstable();
    SortListResponse {
        length: list.len() as u32,
        smallest: list.first().copied().unwrap_or_default(),
        median: list.get(list.len() / 2).copied().unwrap_or_default(),
        largest: list.last().copied().unwrap_or_default(),
    }
}

/// Serves a UDF that only sorts its own list.
pub fn serve(list: &[u32]) -> std::process::ExitCode {
    roma_udf::serve(|_: SampleRequest| -> SampleResponse {
        response(Outcome::SortList(sort(list.to_vec())))
    })
}

const fn next(mut state: u32) -> u32 {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_and_generated_lists_are_equal() {
        assert_eq!(list(1_000), constant_list::<1_000>());
    }

    #[test]
    fn the_response_shows_that_the_list_is_sorted() {
        let response = sort(vec![5, 1, 4, 2]);
        let expected = SortListResponse {
            length: 4,
            smallest: 1,
            median: 4,
            largest: 5,
        };
        assert_eq!(response, expected);
        assert_eq!(sort(Vec::new()), SortListResponse::default());
    }
}
