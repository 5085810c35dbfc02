//! Rules for Rust files: documented at the top, short, and no question about backends outside `DeviceSpec`.

use super::Violation;

/// Longest source file, in lines. 200 is the aim.
const MAX_LINES: usize = 800;

/// The only file that may ask, outside its tests, which backends were compiled in.
const DEVICE_FILE: &str = "crates/flamingo-core/src/device.rs";

/// Features that stand for a backend.
const BACKENDS: [&str; 6] = ["flex", "wgpu", "vulkan", "metal", "cuda", "rocm"];

/// All rules for the Rust file `path`.
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    [documented(path, text), short(path, text)].into_iter().flatten().chain(backend_cfg(path, text)).collect()
}

fn documented(path: &str, text: &str) -> Option<Violation> {
    let (number, first) =
        (1..).zip(text.lines()).find(|(_, line)| !line.trim().is_empty()).unwrap_or((1, ""));
    let message = "no `//!` at the top: begin the file with what it is for and where the idea comes from";
    (!first.starts_with("//!")).then(|| Violation::new(path, number, message))
}

fn short(path: &str, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    let message =
        || format!("{lines} lines, over the limit of {MAX_LINES}: split it by what its parts are about");
    (lines > MAX_LINES).then(|| Violation::new(path, MAX_LINES + 1, message()))
}

fn backend_cfg(path: &str, text: &str) -> Vec<Violation> {
    if path == DEVICE_FILE {
        return Vec::new();
    }
    let asks = |line: &str| {
        line.contains("cfg") && BACKENDS.iter().any(|name| line.contains(&format!("feature = \"{name}\"")))
    };
    // Tests close a file; they may skip what their build has no backend for.
    let code = (1..).zip(text.lines()).take_while(|(_, line)| *line != "#[cfg(test)]");
    let breaches = code.filter(|(_, line)| asks(line));
    breaches
        .map(|(number, _)| {
            Violation::new(
                path,
                number,
                format!("`cfg` on a backend: ask at run time, through {DEVICE_FILE}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_passes() {
        assert!(check("a.rs", "//! What this is.\n\nfn main() {}\n").is_empty());
    }

    #[test]
    fn a_file_without_docs_is_found() {
        let found = check("a.rs", "\nuse std::fs;\n");
        assert_eq!((found.len(), found[0].line), (1, 2));
        assert_eq!(check("a.rs", "").len(), 1);
    }

    #[test]
    fn a_long_file_is_found() {
        let text = |lines| format!("//! Docs.\n{}", "\n".repeat(lines - 1));
        assert!(check("a.rs", &text(MAX_LINES)).is_empty());
        assert_eq!(check("a.rs", &text(MAX_LINES + 1)).len(), 1);
    }

    #[test]
    fn a_question_about_a_backend_is_found() {
        let text = concat!("//! Docs.\n#[cf", "g(feature = \"cuda\")]\nfn f() {}\n");
        assert_eq!(check("a.rs", text)[0].line, 2);
        assert!(check(DEVICE_FILE, text).is_empty());
        assert!(check("a.rs", &text.replace("Docs.", "Docs.\n#[cfg(test)]")).is_empty());
    }
}
