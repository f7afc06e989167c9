//! The form of a file upload: PostObject of the object store, with the fields from GenerateOTAUploadURL.

use super::wire::Grant;
use crate::cloud::{LocalFile, UploadPermit, WireRequest, WireResponse, transport::Upload};
use bytes::Bytes;
use secrecy::ExposeSecret;

/// The grant of GenerateOTAUploadURL, as the form of PostObject; valid for one minute.
#[must_use]
pub fn permit(grant: Grant) -> UploadPermit {
    UploadPermit {
        handle: grant.firmware_url,
        address: grant.host,
        fields: vec![
            ("key", grant.key.into()),
            ("policy", grant.policy.into()),
            ("OSSAccessKeyId", grant.access_key_id.into()),
            ("Signature", grant.signature.into()),
            ("success_action_status", "200".into()),
        ],
    }
}

/// The request that uploads a file; its bytes are streamed by the transport.
///
/// # Errors
/// The permit has no valid address.
pub fn request(permit: &UploadPermit, file: &LocalFile, boundary: &str) -> Result<WireRequest, String> {
    let (origin, path) = address(&permit.address)?;
    let mut form = String::new();
    for (name, value) in &permit.fields {
        let value = value.expose_secret();
        if value.contains(['\r', '\n']) {
            return Err(format!("{name} of the upload permit has several lines"));
        }
        form.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    // The name on disk is not disclosed; the file is the last field, as the object store requires.
    form.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"package\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    ));
    let after = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    Ok(WireRequest {
        method: "POST",
        origin,
        path,
        query: String::new(),
        headers: vec![("content-type".to_owned(), format!("multipart/form-data; boundary={boundary}"))],
        body: form.into(),
        upload: Some(Box::new(Upload { file: file.clone(), after })),
    })
}

/// Origin and path of an address; only HTTP and HTTPS are supported.
fn address(host: &str) -> Result<(String, String), String> {
    let wrong = || format!("Host of the upload permit is not an address: {host}");
    let url = url::Url::parse(host).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong());
    }
    Ok((url.origin().ascii_serialization(), url.path().to_owned()))
}

/// What is wrong with the stored object: the object store returns the MD5 of the received bytes in `ETag`.
#[must_use]
pub fn wrong_digest(response: &WireResponse, file: &LocalFile) -> Option<String> {
    let tag = response.header("etag")?.trim_matches('"').to_ascii_lowercase();
    let is_md5 = tag.len() == 32 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    let ours = file.md5.as_ref()?.to_ascii_lowercase();
    (is_md5 && tag != ours)
        .then(|| format!("the object store received different bytes: MD5 {tag}, expected {ours}"))
}
