//! What the kernel says of this machine and of processes: cores, limits, time on a core, resident memory.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;

/// The time, for whoever measures.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits without giving the core away.
pub(crate) fn spin_for(time: Duration) {
    let started = now();
    while started.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Gives the core away: for what is not timed.
#[expect(clippy::disallowed_methods, reason = "memory is looked at when nothing has happened for a while")]
pub(crate) fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// The cores that this process may be on, as the system numbers them: as it was when this was asked first, since later it may be
/// kept on some of them. The second one is no other half of the first where that can be had.
fn allowed() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let mut allowed = numbers(&cores_of(std::process::id()).unwrap_or_default());
        if let Some(first) = allowed.first() {
            let path = format!("/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list");
            let halves = numbers(&fs::read_to_string(path).unwrap_or_default());
            if let Some(whole) = allowed.iter().position(|core| core != first && !halves.contains(core)) {
                allowed.swap(1, whole);
            }
        }
        if allowed.is_empty() { vec![0] } else { allowed }
    })
}

/// A list as the system writes it: `0-3,8`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// How many cores there are.
pub(crate) fn cores() -> usize {
    allowed().len()
}

/// The cores that a process is kept on, as the system writes them.
pub(crate) fn cores_of(pid: u32) -> anyhow::Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(line.context("Cpus_allowed_list")?.trim().to_owned())
}

/// Keeps this process, and every thread it starts from here on, on these of the cores there are, counted from nought. Where there
/// are fewer, on those there are.
pub(crate) fn pin(cores_wanted: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    let there = allowed();
    for core in cores_wanted {
        set.set(there[core % there.len()]);
    }
    sched_setaffinity(None, &set).context("cannot choose a core")
}

/// Goes before whatever else runs on its core, where the system lets it (as root).
pub(crate) fn hurry() {
    // Linux gives each session its share first, and weighs processes within one only: hence a session, and its weight.
    let _ = rustix::process::setsid();
    let _ = fs::write("/proc/self/autogroup", "-15");
    let _ = rustix::process::setpriority_process(None, -15);
}

/// Ends this process when whoever started it does, however that comes; what it becomes by `exec` too.
pub(crate) fn end_with_parent() -> anyhow::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?)
}

/// Raises this process's limit on descriptors as far as the system lets it, and makes sure that it is enough.
pub(crate) fn raise_descriptors(needed: u64) -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).context("cannot raise the limit on descriptors")?;
    }
    match limit.current {
        Some(allowed) if allowed < needed => bail!(
            "this needs {needed} descriptors and the system allows {allowed}: say `ulimit -n {needed}` first (as root, or \
             raise `nofile` in /etc/security/limits.conf)"
        ),
        _ => Ok(()),
    }
}

/// How long these processes have had a core since they began, in nanoseconds. One that is gone counts nothing.
pub(crate) fn ran(pids: &[u32]) -> u64 {
    let tasks = pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
    let of = |text: String| text.split_whitespace().next()?.parse::<u64>().ok();
    tasks.filter_map(|task| of(fs::read_to_string(task.path().join("schedstat")).ok()?)).sum()
}

/// How long the two cores were not idle, and how long the hypervisor had them, since the system began, in nanoseconds.
pub(crate) fn busy_and_stolen() -> (u64, u64) {
    /// Linux shows hundredths of a second here, whatever its own tick.
    const JIFFY: u64 = 10_000_000;
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let (mut busy, mut stolen) = (0, 0);
    let names: Vec<_> = allowed().iter().take(2).map(|core| format!("cpu{core} ")).collect();
    for line in text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))) {
        let numbers: Vec<u64> = line.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal
        let at = |at: usize| numbers.get(at).copied().unwrap_or(0);
        busy += at(0) + at(1) + at(2) + at(5) + at(6);
        stolen += at(7);
    }
    (busy * JIFFY, stolen * JIFFY)
}

/// Resident memory of these processes in bytes.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        // Exact, where `status` has counters that lag behind.
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    pids.iter().map(of).sum()
}

/// How often threads of these processes went to sleep by themselves, and so woke up again.
pub(crate) fn wakes(pids: &[u32]) -> u64 {
    let of_thread = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    let tasks = pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task"))).flatten().flatten();
    tasks.filter_map(of_thread).sum()
}

/// The processes that a process started, and theirs.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = text.split_whitespace().filter_map(|child| child.parse().ok()).collect();
    let theirs = children.iter().flat_map(|child| descendants(*child)).collect::<Vec<_>>();
    children.into_iter().chain(theirs).collect()
}

/// A fixed piece of work, in nanoseconds: its time tells how fast the core is just now.
pub(crate) fn fixed_work() -> u64 {
    let started = now();
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..1_000_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    std::hint::black_box(x);
    nanos(started.elapsed())
}

/// A duration in nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_mib: u64,
    pub(crate) rustc: String,
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) profile: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_once(':').map(|(_, v)| v.trim().to_owned()));
            value.unwrap_or_default()
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let memory = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: cores(),
            kernel: kernel.trim().to_owned(),
            memory_mib: memory,
            rustc: said("rustc", &["--version"]),
            date: said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            commit: said("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]),
            profile: std::env::var("LOOPKEY_BENCH_PROFILE").unwrap_or_else(|_| "bench".to_owned()),
        }
    }
}

/// What a command says, or nothing.
pub(crate) fn said(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
