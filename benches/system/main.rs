//! What the whole system costs, beside floors and peers that are measured in the same run: `./bench --help`.
//!
//! One program with three parts, each a process of its own: the servers under test on core 0, the load driver on core 1, and
//! the orchestrator that starts them turn by turn and prints one table. Nothing here asserts a time: it measures.

#[cfg(target_os = "linux")]
mod args;
#[cfg(target_os = "linux")]
mod issuer;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod noise;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod section;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod spec;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    match spec::Role::of_this_process()? {
        Some(spec::Role::Issuer(spec)) => issuer::run(&spec),
        Some(spec::Role::Serve(spec)) => serve::run(spec),
        Some(spec::Role::Load(spec)) => load::run(&spec),
        Some(spec::Role::Exec(spec)) => serve::become_another(&spec),
        None => section::run(args::Args::of_this_process()),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::print_stderr, reason = "a benchmark speaks to whoever started it")]
fn main() {
    eprintln!("the system benchmarks read /proc and pin processes to cores: they run on Linux only");
}
