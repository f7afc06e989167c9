//! Fenced code of a page.

/// A fenced block: what stands behind the fence, and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// `yaml file=fleet/cloud.yaml`.
    pub info: String,
    pub text: String,
}

impl Block {
    /// The first word behind the fence: `yaml`.
    pub fn kind(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }

    /// The file that the reader saves it as.
    pub fn file(&self) -> Option<&str> {
        self.info.split(' ').find_map(|word| word.strip_prefix("file="))
    }
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), open.as_mut()) {
            (Some(info), None) => open = Some(Block { info: info.trim().to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn blocks_are_found_with_their_kind_and_file() {
    let found = blocks("a\n```yaml file=x/y.yaml\nk: v\n```\n```sh\nls\n\n```\nb");
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].kind(), found[0].file(), found[0].text.as_str()),
        ("yaml", Some("x/y.yaml"), "k: v\n")
    );
    assert_eq!((found[1].kind(), found[1].file(), found[1].text.as_str()), ("sh", None, "ls\n\n"));
}
