//! Who may use whom: a package may use packages of lower levels, and never a sibling.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::Violation;

/// Every package of the workspace and its level. `flamingo-testkit` is for tests: see [`TESTKIT`].
const LEVELS: [(&str, u8); 18] = [
    ("flamingo-core", 0),
    ("flamingo-malloc", 0),
    ("flamingo-nn", 1),
    ("flamingo-testkit", 1),
    ("flamingo-weights", 1),
    ("flamingo-vision", 2),
    ("flamingo-resampler", 2),
    ("flamingo-xattn", 2),
    ("flamingo-lm", 2),
    ("flamingo-data", 2),
    ("flamingo-train", 2),
    ("flamingo", 3),
    ("flamingo-eval", 4),
    ("flamingo-bench", 5),
    ("flamingo-cli", 5),
    ("flamingo-tests", 5),
    ("flamingo-recipes", 5),
    ("xtask", 5),
];

/// Usable by every package's tests, and by nothing else.
const TESTKIT: &str = "flamingo-testkit";

/// Packages that must build without tensors.
const WITHOUT_BURN: [&str; 3] = ["flamingo-malloc", "flamingo-recipes", "xtask"];

/// Burn's features that choose a backend; libraries must not switch one on.
const BACKENDS: [&str; 8] = ["flex", "wgpu", "webgpu", "vulkan", "metal", "cuda", "rocm", "cpu"];

/// A package of the workspace, as its manifest says.
#[derive(Debug, Clone)]
pub struct Package {
    name: String,
    manifest: String,
    /// The manifest's text, to find lines in.
    text: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone)]
struct Dependency {
    name: String,
    dev: bool,
    features: Vec<String>,
    default_features: bool,
}

/// Reads the output of `cargo metadata --no-deps` for the workspace at `root`.
pub fn packages(metadata: &str, root: &Path) -> anyhow::Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let list = metadata["packages"].as_array().context("no packages")?;
    list.iter().map(|package| read_package(package, root)).collect()
}

fn read_package(package: &Value, root: &Path) -> anyhow::Result<Package> {
    let name = package["name"].as_str().context("a package without a name")?;
    let path = Path::new(package["manifest_path"].as_str().context("a package without a manifest")?);
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let dependencies = package["dependencies"].as_array().context("a package without dependencies")?;
    Ok(Package {
        name: name.to_owned(),
        manifest,
        text,
        dependencies: dependencies.iter().map(read_dependency).collect::<anyhow::Result<_>>()?,
    })
}

fn read_dependency(dependency: &Value) -> anyhow::Result<Dependency> {
    let features = dependency["features"].as_array().context("a dependency without features")?;
    Ok(Dependency {
        name: dependency["name"].as_str().context("a dependency without a name")?.to_owned(),
        dev: dependency["kind"] == "dev",
        features: features.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        default_features: dependency["uses_default_features"].as_bool().unwrap_or(true),
    })
}

/// All rules about packages and their dependencies.
pub fn check(packages: &[Package]) -> Vec<Violation> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Violation> {
    let Some(level) = level(&package.name) else {
        let message = format!("{} has no level: give it one in {}", package.name, file!().replace('\\', "/"));
        return vec![Violation::new(&package.manifest, package.line_of("name"), message)];
    };
    let mut violations = Vec::new();
    if package.manifest.starts_with("crates/")
        && package.manifest != format!("crates/{}/Cargo.toml", package.name)
    {
        let message = format!("the folder must have the package's name: move it to crates/{}", package.name);
        violations.push(Violation::new(&package.manifest, package.line_of("name"), message));
    }
    for dependency in &package.dependencies {
        if let Some(message) =
            edge(&package.name, level, dependency).or_else(|| burn(&package.name, dependency))
        {
            violations.push(Violation::new(&package.manifest, package.line_of(&dependency.name), message));
        }
    }
    violations
}

/// What is wrong with using another package of the workspace.
fn edge(user: &str, user_level: u8, Dependency { name, dev, .. }: &Dependency) -> Option<String> {
    let used_level = level(name)?;
    if name == TESTKIT {
        return (!dev).then(|| format!("{user} uses {TESTKIT} outside its tests: make it a dev-dependency"));
    }
    (used_level >= user_level).then(|| {
        format!(
            "{user} (level {user_level}) must not use {name} (level {used_level}): move what both need to a lower \
             level, or join them in a higher one"
        )
    })
}

/// What is wrong with using Burn.
fn burn(user: &str, Dependency { name, features, default_features, .. }: &Dependency) -> Option<String> {
    if name != "burn" && !name.starts_with("burn-") {
        return None;
    }
    if WITHOUT_BURN.contains(&user) {
        return Some(format!("{user} must build without {name}: call a program that has it instead"));
    }
    if let Some(backend) = features.iter().find(|feature| BACKENDS.contains(&feature.as_str())) {
        return Some(format!(
            "{user} chooses the backend {backend}: only a feature of the same name may do that"
        ));
    }
    default_features.then(|| {
        format!("{user} takes {name}'s default features, backends among them: set default-features = false")
    })
}

fn level(name: &str) -> Option<u8> {
    LEVELS.into_iter().find(|(known, _)| *known == name).map(|(_, level)| level)
}

impl Package {
    /// The first line of the manifest that assigns `key`, as `key = …`, `key.workspace = …` or `[….key]`.
    fn line_of(&self, key: &str) -> usize {
        let assigns = |line: &str| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with([' ', '=', '.'])) || line.ends_with(&format!(".{key}]"))
        };
        (1..).zip(self.text.lines()).find(|(_, line)| assigns(line)).map_or(1, |(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: Vec<Dependency>) -> Package {
        let lines: Vec<String> =
            dependencies.iter().map(|it| format!("{}.workspace = true", it.name)).collect();
        let text = format!("[package]\nname = \"{name}\"\n[dependencies]\n{}\n", lines.join("\n"));
        Package { name: name.to_owned(), manifest: format!("crates/{name}/Cargo.toml"), text, dependencies }
    }

    fn uses(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), dev: false, features: Vec::new(), default_features: false }
    }

    #[test]
    fn lower_levels_and_the_testkit_in_tests_pass() {
        let testkit = Dependency { dev: true, ..uses(TESTKIT) };
        let outside = Dependency { default_features: true, ..uses("serde") };
        let good =
            package("flamingo-vision", vec![uses("flamingo-core"), uses("burn"), testkit.clone(), outside]);
        assert!(check(&[good, package("flamingo-core", vec![testkit])]).is_empty());
    }

    #[test]
    fn siblings_higher_levels_and_the_testkit_are_found() {
        for (user, used) in
            [("flamingo-lm", "flamingo-xattn"), ("flamingo-nn", "flamingo"), ("flamingo-data", TESTKIT)]
        {
            let found = check(&[package(user, vec![uses("serde"), uses(used)])]);
            assert_eq!((found.len(), found[0].line), (1, 5), "{user} -> {used}");
        }
        let dev_sibling = Dependency { dev: true, ..uses("flamingo-xattn") };
        assert_eq!(check(&[package("flamingo-lm", vec![dev_sibling])]).len(), 1);
    }

    #[test]
    fn burn_where_it_must_not_be_is_found() {
        let mut xtask = package("xtask", vec![uses("burn-store")]);
        xtask.manifest = "xtask/Cargo.toml".to_owned();
        assert_eq!(check(&[xtask]).len(), 1);
        let backend = Dependency { features: vec!["std".to_owned(), "cuda".to_owned()], ..uses("burn") };
        assert_eq!(check(&[package("flamingo-nn", vec![backend])]).len(), 1);
        let defaults = Dependency { default_features: true, ..uses("burn") };
        assert_eq!(check(&[package("flamingo-nn", vec![defaults])]).len(), 1);
    }

    #[test]
    fn a_package_without_a_level_or_in_another_folder_is_found() {
        assert_eq!(check(&[package("flamingo-new", vec![])]).len(), 1);
        let mut moved = package("flamingo-nn", vec![]);
        moved.manifest = "crates/nn/Cargo.toml".to_owned();
        assert_eq!(check(&[moved])[0].line, 2);
    }

    #[test]
    fn metadata_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = serde_json::json!({ "packages": [{
            "name": "xtask", "manifest_path": manifest,
            "dependencies": [{ "name": "clap", "kind": "dev", "features": ["derive"], "uses_default_features": true }],
        }]});
        let [package] = &packages(&metadata.to_string(), root).unwrap()[..] else { panic!("one package") };
        assert_eq!(package.manifest, "xtask/Cargo.toml");
        assert!(package.dependencies[0].dev && package.dependencies[0].default_features);
        assert!(package.line_of("clap") > 1);
    }
}
