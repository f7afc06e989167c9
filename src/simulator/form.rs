//! `multipart/form-data` (RFC 7578), read piece by piece: fields are kept, the file is only counted and hashed, so that an
//! upload of any size costs no memory.

use super::request::header;
use crate::cloud::WireRequest;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Longest head of a part, and longest value of a field.
const MOST_TEXT: usize = 64 * 1024;

/// A form that was read.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// Host and port that it was posted to.
    pub host: String,
    /// Fields before the file, by name in lower case.
    pub fields: BTreeMap<String, String>,
    /// The file; what comes after it is ignored, as the object store does.
    pub file: Option<Part>,
}

/// A file that streamed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes.
    pub size: u64,
    /// MD5 in lower-case hex.
    pub md5: String,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

enum State {
    /// Before the first boundary, or between two parts.
    Boundary,
    /// In the head of a part.
    Head,
    /// In the value of a field.
    Field(String),
    /// In the file.
    File { size: u64, md5: Md5, sha256: Sha256 },
    /// Behind the file, or behind the last boundary.
    Done,
}

/// Reads a form from pieces of any length.
pub struct Reader {
    boundary: Vec<u8>,
    state: State,
    kept: Vec<u8>,
    form: Form,
}

impl Reader {
    /// A reader for the body of a request whose head this is.
    ///
    /// # Errors
    /// It is not posted, not `multipart/form-data`, or names no boundary.
    pub fn of(head: &WireRequest) -> Result<Self, String> {
        let header = |name: &str| header(head, name).unwrap_or_default();
        if head.method != "POST" {
            return Err("Only POST takes a form".to_owned());
        }
        Self::new(header("content-type"), header("host").to_owned())
    }

    fn new(content_type: &str, host: String) -> Result<Self, String> {
        let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="));
        match boundary.map(|boundary| boundary.trim_matches('"')).filter(|boundary| !boundary.is_empty()) {
            Some(boundary) if kind.trim().eq_ignore_ascii_case("multipart/form-data") => Ok(Self {
                boundary: format!("\r\n--{boundary}").into_bytes(),
                state: State::Boundary,
                // The first boundary may stand at the very start.
                kept: b"\r\n".to_vec(),
                form: Form { host, ..Form::default() },
            }),
            _ => Err("Content-Type must be multipart/form-data with a boundary".to_owned()),
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// It is no form, or its text is too long.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), String> {
        self.kept.extend_from_slice(piece);
        while self.advance()? {}
        Ok(())
    }

    /// The form, when it was whole.
    ///
    /// # Errors
    /// It ended too early.
    pub fn finish(self) -> Result<Form, String> {
        match self.state {
            State::Done => Ok(self.form),
            _ => Err("The body ended before its last boundary.".to_owned()),
        }
    }

    /// One step; false when more must come first.
    fn advance(&mut self) -> Result<bool, String> {
        match &self.state {
            State::Done => {
                self.kept.clear();
                Ok(false)
            }
            State::Boundary => self.boundary(),
            State::Head => self.head(),
            State::Field(_) | State::File { .. } => self.value(),
        }
    }

    fn boundary(&mut self) -> Result<bool, String> {
        let Some(at) = find(&self.kept, &self.boundary) else { return self.wait() };
        let Some(after) = self.kept.get(at + self.boundary.len()..at + self.boundary.len() + 2) else {
            return Ok(false);
        };
        self.state = if after == b"--" { State::Done } else { State::Head };
        self.kept.drain(..at + self.boundary.len() + 2);
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, String> {
        let Some(at) = find(&self.kept, b"\r\n\r\n") else { return self.wait() };
        let head = String::from_utf8_lossy(&self.kept[..at]).into_owned();
        self.kept.drain(..at + 4);
        let disposition = head
            .lines()
            .find(|line| line.to_lowercase().starts_with("content-disposition:"))
            .ok_or("A part has no Content-Disposition.")?;
        let name = disposition.split(';').find_map(|part| part.trim().strip_prefix("name="));
        let name = name.ok_or("A part has no name.")?.trim_matches('"').to_lowercase();
        self.state = if name == "file" {
            State::File { size: 0, md5: Md5::new(), sha256: Sha256::new() }
        } else {
            State::Field(name)
        };
        Ok(true)
    }

    fn value(&mut self) -> Result<bool, String> {
        let end = find(&self.kept, &self.boundary);
        // What may be the beginning of a boundary is not yet part of the value.
        let safe = end.unwrap_or_else(|| self.kept.len().saturating_sub(self.boundary.len() - 1));
        if let State::File { size, md5, sha256 } = &mut self.state {
            let bytes = &self.kept[..safe];
            *size += bytes.len() as u64;
            md5.update(bytes);
            sha256.update(bytes);
            self.kept.drain(..safe);
            if end.is_none() {
                return Ok(false);
            }
            self.form.file = Some(Part {
                size: *size,
                md5: hex::encode(md5.clone().finalize()),
                sha256: hex::encode(sha256.clone().finalize()),
            });
            self.state = State::Done;
            return Ok(true);
        }
        let Some(end) = end else { return self.wait() };
        if let State::Field(name) = &self.state {
            let value = String::from_utf8_lossy(&self.kept[..end]).into_owned();
            self.form.fields.insert(name.clone(), value);
        }
        self.kept.drain(..end);
        self.state = State::Boundary;
        Ok(true)
    }

    fn wait(&self) -> Result<bool, String> {
        if self.kept.len() > MOST_TEXT {
            return Err(format!("Text of more than {MOST_TEXT} bytes."));
        }
        Ok(false)
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(file: &[u8]) -> Vec<u8> {
        let mut body = b"--XyZ\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nota/a.bin\r\n\
            --XyZ\r\ncontent-disposition: form-data; name=\"Policy\"\r\nContent-Type: text/plain\r\n\r\n\r\n\
            --XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n"
            .to_vec();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--XyZ--\r\n");
        body
    }

    #[test]
    fn a_form_is_the_same_in_pieces_of_any_length() {
        let file = b"\r\n--XyA is no boundary\r\n--Xy\r\n";
        let whole = body(file);
        for length in [1, 2, 3, 7, 64, whole.len()] {
            let mut reader = Reader::new("multipart/form-data; boundary=\"XyZ\"", "h".into()).unwrap();
            whole.chunks(length).for_each(|piece| reader.feed(piece).unwrap());
            let form = reader.finish().unwrap();
            assert_eq!((form.fields["key"].as_str(), form.fields["policy"].as_str()), ("ota/a.bin", ""));
            let wanted = Part {
                size: file.len() as u64,
                md5: hex::encode(Md5::digest(file)),
                sha256: hex::encode(Sha256::digest(file)),
            };
            assert_eq!(form.file, Some(wanted), "{length}");
        }
    }

    #[test]
    fn half_a_form_and_no_form_are_refused() {
        assert!(Reader::new("application/json", String::new()).is_err());
        assert!(Reader::new("multipart/form-data", String::new()).is_err());
        let mut reader = Reader::new("multipart/form-data; boundary=XyZ", String::new()).unwrap();
        let whole = body(b"1234");
        reader.feed(&whole[..whole.len() - 10]).unwrap();
        assert!(reader.finish().is_err());
        let mut reader = Reader::new("multipart/form-data; boundary=XyZ", String::new()).unwrap();
        assert!(reader.feed(&vec![b'x'; 100_000]).is_err(), "text without a boundary is not kept for ever");
    }
}
