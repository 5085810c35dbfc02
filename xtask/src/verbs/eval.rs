//! `cargo xtask eval [ARGS…]`: without a verb, the fetchable suite on the model of datasets/smol, its sets fetched first.

use std::ffi::OsString;
use std::process::ExitCode;

use super::flamingo;
use crate::needs::Needs;

/// The model that is kept with the code.
const MODEL: &str = "datasets/smol";
const WEIGHTS: [&str; 2] = ["smollm2", "efficientnet-lite2"];
const DATASETS: [&str; 7] =
    ["emoji@160", "openmoji@160", "emoji-more@160", "stamps", "easy-vqa", "emoji-video", "photos"];

pub fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let (args, suite) = request(args);
    if suite {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Needs { weights: names(&WEIGHTS), datasets: names(&DATASETS) }.provide()?;
    }
    flamingo::run("eval", args)
}

/// The arguments of `flamingo eval`, and whether they ask for the suite.
fn request(mut args: Vec<OsString>) -> (Vec<OsString>, bool) {
    let has = |args: &[OsString], flag: &str| {
        args.iter().any(|arg| {
            let text = arg.to_string_lossy();
            text == flag || text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
        })
    };
    let verb = args.first().is_some_and(|arg| !arg.to_string_lossy().starts_with('-'));
    if verb || has(&args, "--help") || has(&args, "-h") {
        return (args, false);
    }
    for (flag, value) in [("--suite", "fetchable"), ("--model", MODEL)] {
        if !has(&args, flag) {
            args.extend([flag, value].map(OsString::from));
        }
    }
    (args, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &[&str]) -> (Vec<String>, bool) {
        let (args, suite) = request(args.iter().map(OsString::from).collect());
        (args.into_iter().map(|arg| arg.into_string().unwrap()).collect(), suite)
    }

    #[test]
    fn without_arguments_it_is_the_suite_on_the_kept_model() {
        let (args, suite) = asked(&[]);
        assert_eq!(args, ["--suite", "fetchable", "--model", MODEL]);
        assert!(suite);
        let (args, _) = asked(&["--model=runs/mine", "--trials", "9"]);
        assert_eq!(args, ["--model=runs/mine", "--trials", "9", "--suite", "fetchable"]);
    }

    #[test]
    fn other_verbs_and_help_are_passed_on() {
        assert_eq!(
            asked(&["score", "--metric", "cider"]),
            (vec!["score".into(), "--metric".into(), "cider".into()], false)
        );
        assert_eq!(asked(&["--help"]), (vec!["--help".into()], false));
    }
}
