//! The table: ratio first, the aim beside it, and whether it is met.

use std::path::Path;

use super::{Report, Row};

#[expect(clippy::print_stdout, reason = "a benchmark's answer goes to standard output")]
pub(crate) fn print(report: &Report, json: &Path) {
    let machine = &report.machine;
    println!("\n{} · {} cores · Linux {} · {} MiB", machine.cpu, machine.cores, machine.kernel, machine.memory_mib);
    println!("{} · profile {} · commit {} · {}", machine.rustc, machine.profile, machine.commit, machine.date);
    if !report.peers.is_empty() {
        println!("{}", report.peers.join(" · "));
    }
    println!("The machine is {}", report.noise.says);
    let few = if report.quick { "one of memory and growth" } else { "three of memory and growth" };
    println!(
        "Medians of {} rounds, {few}, servers turn by turn; rests once. A ratio is the median of the rounds' own, and half of \
         them are within what stands beside it.\n",
        report.rounds
    );
    let rows: Vec<_> = report.rows.iter().map(cells).collect();
    let head = ["ratio", "half of them", "aim", "met", "what", "N", "server", "figure", "against", "its figure"]
        .map(str::to_owned);
    let width = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 10] = std::array::from_fn(width);
    let line = |cells: &[String; 10]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
            let space = " ".repeat(width - cell.chars().count());
            // Numbers stand at the right.
            if matches!(at, 0 | 5 | 7 | 9) { format!("{space}{cell}") } else { format!("{cell}{space}") }
        });
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&head);
    let mut section = "";
    for (row, cells) in report.rows.iter().zip(&rows) {
        if row.section != section {
            section = row.section;
            println!("-- {section}");
        }
        line(cells);
        if let Some(note) = &row.note {
            println!("       ({note})");
        }
    }
    println!("\n{}", json.display());
}

fn cells(row: &Row) -> [String; 10] {
    let figure = |figure: f64| {
        let digits = match figure.abs() {
            0.0..10.0 => 2,
            10.0..1000.0 => 1,
            _ => 0,
        };
        if figure.is_nan() { "–".to_owned() } else { format!("{figure:.digits$} {}", row.unit) }
    };
    let met = row.met.map_or("", |met| if met { "yes" } else { "NO" });
    [
        row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        row.half.map_or_else(String::new, |(from, to)| format!("{from:.2}–{to:.2}")),
        row.aim.clone().unwrap_or_default(),
        met.to_owned(),
        row.what.clone(),
        row.n.map_or_else(String::new, |n| n.to_string()),
        row.server.clone(),
        figure(row.figure),
        row.against.clone().unwrap_or_default(),
        row.floor.map_or_else(String::new, figure),
    ]
}
