//! The git repository around a path, read from its own files: `git` refuses a checkout of another user, as CI runners create
//! them, and the name of a source must not depend on that.

use std::fs;
use std::path::{Path, PathBuf};

/// A checked-out repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checkout {
    /// Top folder of the repository.
    pub(super) top: PathBuf,
    /// Host and path of its remote `origin`: the same for HTTPS and SSH, without credentials.
    pub(super) remote: String,
}

impl Checkout {
    /// The innermost repository; none without a remote `origin` that has a host.
    pub(super) fn around(path: &Path) -> Option<Self> {
        let top = path.ancestors().find(|folder| folder.join(".git").exists())?;
        let config = fs::read_to_string(config_of(&top.join(".git"))?).ok()?;
        let remote = normalised(&origin_url(&config)?)?;
        Some(Self { top: top.to_owned(), remote })
    }
}

/// `.git` is a folder, or a file that refers to one: of a worktree, which uses the configuration of the main one, or of a
/// submodule.
fn config_of(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.join("config"));
    }
    let text = fs::read_to_string(git).ok()?;
    let folder = git.parent()?.join(text.strip_prefix("gitdir:")?.trim());
    match fs::read_to_string(folder.join("commondir")) {
        Ok(common) => Some(folder.join(common.trim()).join("config")),
        Err(_) => Some(folder.join("config")),
    }
}

fn origin_url(config: &str) -> Option<String> {
    let mut is_origin = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            is_origin = line.replace(char::is_whitespace, "").eq_ignore_ascii_case("[remote\"origin\"]");
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_origin)
            && name.trim().eq_ignore_ascii_case("url")
        {
            return Some(value.trim().trim_matches('"').to_owned());
        }
    }
    None
}

/// Normal form such as `github.com/acme/fleet`; none for a path on this machine.
fn normalised(url: &str) -> Option<String> {
    let (host, path) = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        // The form of scp: a colon before any slash.
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = host.rsplit('@').next()?.split(':').next()?.to_ascii_lowercase();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    #[test]
    fn every_way_to_write_a_remote_gives_the_same_name_and_no_secret() {
        for url in [
            "https://github.com/acme/fleet.git",
            "https://x-access-token:ghs_SECRET@github.com/acme/fleet",
            "ssh://git@GITHUB.com:22/acme/fleet.git/",
            "git@github.com:acme/fleet.git",
            "github.com:/acme/fleet",
        ] {
            assert_eq!(normalised(url).as_deref(), Some("github.com/acme/fleet"), "{url}");
        }
        for url in ["/srv/git/fleet.git", "../fleet", "file:///srv/git/fleet", "https://github.com", ""] {
            assert_eq!(normalised(url), None, "{url}");
        }
    }

    #[test]
    fn worktrees_and_submodules_have_the_name_of_their_repository() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("main/.git/config", "[remote \"origin\"]\n  url = git@host:acme/main\n");
        write("tree/.git", &format!("gitdir: {}\n", dir.path().join("main/.git/worktrees/tree").display()));
        write("main/.git/worktrees/tree/commondir", "../..\n");
        write("main/sub/.git", "gitdir: ../.git/modules/sub\n");
        write(
            "main/.git/modules/sub/config",
            "[remote \"up\"]\nurl = x:y\n[remote \"origin\"]\nurl=git@host:acme/sub\n",
        );
        write("bare/.git/config", "[core]\n");
        let remote = |path: &str| Checkout::around(&dir.path().join(path)).map(|checkout| checkout.remote);
        assert_eq!(remote("main").as_deref(), Some("host/acme/main"));
        assert_eq!(remote("tree").as_deref(), Some("host/acme/main"));
        assert_eq!(remote("main/sub").as_deref(), Some("host/acme/sub"));
        assert_eq!(remote("bare"), None);
    }
}
