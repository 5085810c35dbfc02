//! `flamingo train` with a file whose `preset` joins two published models.

use std::sync::atomic::AtomicBool;

use flamingo::Replica;
use flamingo::join::{JoinEnd, JoinRequest, join};

use super::run_name;

pub fn run(request: &JoinRequest, replicas: &[Replica], stop: &AtomicBool) -> anyhow::Result<()> {
    let folder = &request.folder;
    match join(request, replicas, stop)? {
        JoinEnd::Finished(report) => {
            println!("\n{report}");
            println!("report:  {}", folder.join("report.html").display());
            println!("next:    cargo xtask caption --model {} IMAGE.png", folder.display());
        }
        JoinEnd::Paused => {
            println!("paused; go on with:");
            println!("  cargo xtask train --name {} --config FILE --resume", run_name(folder));
        }
    }
    Ok(())
}
