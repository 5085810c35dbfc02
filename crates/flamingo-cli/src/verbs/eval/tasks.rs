//! `flamingo eval tasks`: the benchmarks, and the files that each reads.

use flamingo_eval::task::{Task, registry};
use serde_json::json;

use crate::verbs::output::print;

/// List the benchmarks: name, title, metric, files
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this one
    task: Option<String>,
    /// Print [{"name", "title", "metric", "files": [{"name", "official", "about", "optional"}]}]
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let tasks: Vec<&dyn Task> = match &args.task {
        Some(name) => vec![registry::find(name)?],
        None => registry::all().collect(),
    };
    let text = match args.json {
        true => {
            let files = |task: &dyn Task| -> Vec<serde_json::Value> {
                let file = task.files().iter();
                file.map(|it| json!({"name": it.name, "official": it.official, "about": it.about, "optional": it.optional}))
                    .collect()
            };
            let list = tasks.iter().map(|task| {
                json!({"name": task.name(), "title": task.title(), "metric": task.metric(), "files": files(*task)})
            });
            serde_json::to_string_pretty(&list.collect::<Vec<_>>())? + "\n"
        }
        false => tasks.iter().map(|task| told(*task)).collect(),
    };
    Ok(print(&text)?)
}

fn told(task: &dyn Task) -> String {
    let mut text = format!("{}  {}, {}\n", task.name(), task.title(), task.metric());
    let width = task.files().iter().map(|it| it.name.len() + it.official.len()).max().unwrap_or(0);
    for file in task.files() {
        let named = format!("{}={}", file.name, file.official);
        let optional = if file.optional { " (may be left out)" } else { "" };
        text += &format!("  {named:w$}  {}{optional}\n", file.about, w = width + 1);
    }
    text
}
