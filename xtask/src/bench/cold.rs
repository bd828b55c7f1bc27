//! From exec to the first response to `GET /`: what Event Grid waits for where the host scales from zero.

use std::time::Instant;

use super::programs::Program;
use super::servers::{Servers, Target};
use super::table::{Role, Table, goal, median, ms, percentile};
use super::{Extent, Report};

const GOAL_MS: f64 = 20.0;

pub async fn run(
    servers: &Servers,
    programs: &[Program],
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let container = servers.container().await?;
    let mut rows = Vec::new();
    for program in programs
        .iter()
        .filter(|program| !matches!(program, Program::Rclone))
    {
        let mut answers = Vec::with_capacity(extent.cold_starts);
        for _ in 0..extent.cold_starts {
            let began = Instant::now();
            let running = program.start(servers, Target::Plain, &container).await?;
            answers.push(ms(began.elapsed()));
            running.process.kill().await?;
        }
        let (shortest, longest, median) = (
            percentile(&mut answers, 0),
            percentile(&mut answers, 100),
            median(answers),
        );
        eprintln!("cold: {} {median:.1} ms", program.name());
        let reached = median <= GOAL_MS;
        if program.role() == Role::Ours && !reached {
            report
                .failures
                .push(format!("the first answer takes {median:.1} ms"));
        }
        let goal = if program.role() == Role::Ours {
            goal(&format!("≤ {GOAL_MS} ms"), Some(reached))
        } else {
            String::new()
        };
        rows.push(vec![
            program.name().to_owned(),
            format!("{median:.1}"),
            format!("{shortest:.1}"),
            format!("{longest:.1}"),
            goal,
        ]);
    }
    report.tables.push(Table {
        title: format!(
            "From process start to the first answer to `GET /`; median of {}",
            extent.cold_starts
        ),
        head: vec!["program", "ms", "least", "most", "goal"],
        rows,
    });
    Ok(())
}
