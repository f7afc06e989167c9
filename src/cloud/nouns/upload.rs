//! What permits an upload.

use secrecy::{ExposeSecret, SecretString};

/// What a cloud permits to be uploaded where; not for long. `Debug` shows nothing that opens it.
#[derive(Clone, Debug)]
pub struct UploadPermit {
    /// What the cloud calls the file once it is there, for [`super::NewArtifact::Uploaded`].
    pub handle: String,
    /// Where the form goes.
    pub address: String,
    /// Fields of the form, in their order.
    pub fields: Vec<(&'static str, SecretString)>,
}

impl PartialEq for UploadPermit {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&(&str, SecretString), &(&str, SecretString))| {
            one.0 == other.0 && one.1.expose_secret() == other.1.expose_secret()
        };
        (&self.handle, &self.address) == (&other.handle, &other.address)
            && self.fields.len() == other.fields.len()
            && self.fields.iter().zip(&other.fields).all(same)
    }
}
