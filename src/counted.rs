//! Marks what is counted under callgrind (see `benches/instructions/count`).

/// How often each hot path is walked.
pub(crate) const OPERATIONS: usize = 100;
/// How many pages a state is pushed to.
pub(crate) const PAGES: usize = 1000;

/// Everything in here is counted; callgrind knows it by its name.
#[inline(never)]
pub(crate) fn counted<T>(what: impl FnOnce() -> T) -> T {
    std::hint::black_box(what())
}
