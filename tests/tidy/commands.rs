//! Command lines in documents: every `rollwave …` that a reader can type is one that the program accepts.

use crate::files::File;
use clap::{Parser as _, error::ErrorKind};
use rollwave::cli::Cli;

/// Command lines that the program refuses, with what it prints.
pub fn check(file: &File) -> Vec<String> {
    let typed = code_lines(&file.text).into_iter().flat_map(|line| calls(&line)).map(|call| (call, false));
    let mentioned = spans(&file.text).into_iter().map(|call| (call, true));
    typed
        .chain(mentioned)
        .filter_map(|(call, mentioned)| {
            let why = problem(&call, mentioned)?;
            Some(format!("{}: `{call}`: {why}", file.path))
        })
        .collect()
}

/// Why the program refuses a command line. A mention in a sentence may leave out what is required.
fn problem(call: &str, mentioned: bool) -> Option<String> {
    let error = Cli::try_parse_from(words(call)).err()?;
    let incomplete = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let asks_for_help = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    let is_fine = asks_for_help.contains(&error.kind()) || mentioned && incomplete.contains(&error.kind());
    (!is_fine).then(|| error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// Lines of fenced code that a shell would run, with continued lines joined.
fn code_lines(text: &str) -> Vec<String> {
    let mut fence: Option<bool> = None;
    let mut lines: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(info) = line.strip_prefix("```") {
            let is_shell =
                ["sh", "bash", "console", "yaml", "text"].iter().any(|kind| info.starts_with(kind));
            fence = if fence.is_some() { None } else { Some(is_shell) };
            continued = false;
        } else if fence == Some(true) {
            let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
            match lines.last_mut().filter(|_| continued) {
                Some(last) => last.push_str(part),
                None => lines.push(part.to_owned()),
            }
            continued = goes_on;
        }
    }
    lines
}

/// Calls of the program in a line of a shell: after a prompt, behind `run:` or a pipe, without comment and redirection.
fn calls(line: &str) -> Vec<String> {
    let line = line.split(" # ").next().unwrap_or(line);
    let parts = line.split(['|', ';', '>', '&', '(', ')']);
    let call = |part: &str| {
        let mut part = part.trim();
        for lead in [
            "$ ",
            "ExecStart=/usr/local/bin/",
            "- run: ",
            "run: ",
            "exec ",
            "if ",
            "while ! ",
            "while ",
            "then ",
        ] {
            part = part.strip_prefix(lead).unwrap_or(part);
        }
        while let Some((assigned, rest)) = part.split_once(' ').filter(|(word, _)| word.contains('=')) {
            if !assigned.chars().next().is_some_and(|first| first.is_ascii_uppercase()) {
                break;
            }
            part = rest;
        }
        part.starts_with("rollwave ").then(|| part.to_owned())
    };
    parts.filter_map(call).collect()
}

/// Calls of the program in the code of a sentence.
fn spans(text: &str) -> Vec<String> {
    let prose = crate::documents::prose(text);
    let spans = prose.split('`').skip(1).step_by(2);
    let is_call = |span: &&str| span.starts_with("rollwave ") && !span.contains(['…', '|', '\n']);
    spans.filter(is_call).map(|span| span.trim().to_owned()).collect()
}

/// The words of a command line, by the rules of a shell as far as documents need them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn flags_that_do_not_exist_are_found() {
    let found = |text: &str| check(&File::new("x.md", text)).len();
    assert_eq!(found("```sh\nrollwave apply fleet --wait   # good\n```"), 0);
    assert_eq!(found("```sh\nrollwave apply fleet --hurry\n```"), 1);
    assert_eq!(found("```sh\nNO_COLOR=1 rollwave get --fast && rollwave teleport\n```"), 2);
    assert_eq!(found("```sh\nrollwave apply fleet \\\n  --wait --timeout soon\n```"), 1);
    assert_eq!(found("```text\nExecStart=/usr/local/bin/rollwave run fleet --fast\n```"), 1);
    assert_eq!(found("```sh\nrollwave validate\n```"), 1, "what is required is missing");
    assert_eq!(found("Use `rollwave validate`, `rollwave pause` or `rollwave get -o json`."), 0);
    assert_eq!(found("Use `rollwave get -o xml` or `rollwave teleport`."), 2);
}
