//! `multipart/form-data` (RFC 7578), as far as firmware is uploaded with it.

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Name of the field.
    pub name: String,
    /// Name of the file, when the part is one.
    pub file_name: Option<String>,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// The parts of a form; none when it is not one.
#[must_use]
pub fn parse<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let delimiter = format!("--{}", parameter(parameters, "boundary")?);
    let mut rest = body.strip_prefix(delimiter.as_bytes())?;
    let delimiter = format!("\r\n{delimiter}");
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let head = find(rest, b"\r\n\r\n")?;
        let end = find(&rest[head..], delimiter.as_bytes())?;
        parts.push(part(&rest[..head], rest.get(head + 4..head + end)?)?);
        rest = &rest[head + end + delimiter.len()..];
    }
    Some(parts)
}

fn part<'a>(head: &[u8], bytes: &'a [u8]) -> Option<Part<'a>> {
    let head = std::str::from_utf8(head).ok()?;
    let headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, disposition) =
        headers.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))?;
    let (kind, parameters) = disposition.split_once(';')?;
    let name = parameter(parameters, "name")?;
    (kind.trim() == "form-data").then(|| Part { name, file_name: parameter(parameters, "filename"), bytes })
}

/// A parameter such as `name="file"`, with or without quotes.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"').to_owned()).filter(|value| !value.is_empty())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=\"x1\"";

    #[test]
    fn the_parts_of_a_form_are_read() {
        let body = b"--x1\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n--x1\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: x/y\r\n\r\n\
            \0\r\n--x\r\n\r\n--x1--\r\n";
        let parts = parse(KIND, body).unwrap();
        let seen: Vec<_> =
            parts.iter().map(|part| (part.name.as_str(), part.file_name.as_deref(), part.bytes)).collect();
        assert_eq!(seen, [("metadata", None, &b"{}"[..]), ("file", Some("a.bin"), &b"\0\r\n--x\r\n"[..])]);
    }

    #[test]
    fn what_is_no_form_is_recognized() {
        for (kind, body) in [
            ("application/json", &b"--x1--"[..]),
            ("multipart/form-data", b"--x1--"),
            (KIND, b""),
            (KIND, b"--x1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end"),
            (KIND, b"--x1\r\nno head"),
            (KIND, b"--x1\r\nContent-Disposition: form-data\r\n\r\n\r\n--x1--"),
        ] {
            assert_eq!(parse(kind, body), None, "{kind} {body:?}");
        }
    }
}
