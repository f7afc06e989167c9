//! Permission to upload a file.

use secrecy::{ExposeSecret, SecretString};

/// Permission to upload a file, for a short time. `Debug` shows no secrets.
#[derive(Clone, Debug)]
pub struct UploadPermit {
    /// The cloud's name of the uploaded file, for [`super::NewArtifact::Uploaded`].
    pub handle: String,
    /// Address that the form is sent to.
    pub address: String,
    /// Fields of the form, in order.
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
