//! What a process takes of memory (Linux).

/// The memory that a process has of its own now, in KiB. The pages of its program's file, which grow with what is compiled in
/// and not with what is done to it, are not counted.
pub(crate) fn own_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("memory of its own");
    anonymous.trim().trim_end_matches(" kB").parse().expect("a number")
}
