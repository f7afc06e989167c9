//! HTTP messages as text: a first line, headers, an empty line, a body.

/// One message.
pub struct Message {
    /// The words of the first line.
    pub words: Vec<String>,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim_start().to_owned()))
        };
        Self {
            words: first.split_whitespace().map(str::to_owned).collect(),
            headers: lines.filter_map(header).collect(),
            body: body.to_owned(),
        }
    }

    pub fn word(&self, number: usize) -> &str {
        self.words.get(number).map_or("", String::as_str)
    }

    /// Path and query of a word.
    pub fn target(&self, number: usize) -> (String, String) {
        let (path, query) = self.word(number).split_once('?').unwrap_or((self.word(number), ""));
        (path.to_owned(), query.to_owned())
    }
}
