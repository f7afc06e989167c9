//! The page of the Helm chart is made from the comments of its values.
//!
//! `CHART_README=write` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

/// A line of `values.yaml` with a key, and the comment above it.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    path: String,
    default: String,
    about: String,
}

/// Every key with a value on its own line or a comment above it. A map is told of by its comment, and then key by key.
fn settings(values: &str) -> Vec<Setting> {
    let (mut path, mut about, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    for line in values.lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(comment) = text.strip_prefix("# ") {
            about.push(comment);
        } else if let Some((key, default)) = text.split_once(':') {
            path.truncate(depth);
            path.push(key);
            let default = default.trim().to_owned();
            settings.push(Setting { path: path.join("."), default, about: about.join(" ") });
            about.clear();
        }
    }
    settings
}

fn page(values: &str) -> String {
    let mut page = String::from(
        "<!-- Made from values.yaml: CHART_README=write cargo test --test it chart_readme -->\n\n# Helm chart of Rollwave\n\n\
         Installs `rollwave controller`, its definitions and its roles. [How to install and upgrade it](../../docs/guides/kubernetes.md#install).\n\n\
         ```console\n$ helm install rollwave charts/rollwave --namespace rollwave --create-namespace --set image.repository=registry.example/rollwave\n```\n\n\
         A setting that is not in this table is refused (`values.schema.json`).\n\n| setting | default | what it does |\n|---|---|---|\n",
    );
    for Setting { path, default, about } in settings(values) {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let _ = writeln!(page, "| `{path}` | {default} | {} |", about.replace('|', "\\|"));
    }
    page
}

#[test]
fn the_page_of_the_chart_tells_every_setting_as_values_yaml_has_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/rollwave");
    let values = fs_err::read_to_string(folder.join("values.yaml")).unwrap();
    let (made, file) = (page(&values), folder.join("README.md"));
    if std::env::var("CHART_README").is_ok_and(|word| word == "write") {
        fs_err::write(&file, &made).unwrap();
    }
    assert!(fs_err::read_to_string(file).unwrap() == made, "the page is old: CHART_README=write writes it");
    let untold: Vec<Setting> = settings(&values)
        .into_iter()
        .filter(|setting| !setting.path.contains('.') && setting.about.is_empty())
        .collect();
    assert_eq!(untold, [], "settings without a comment");
}
