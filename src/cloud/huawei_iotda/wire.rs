//! Wire format of IoTDA: field names and spellings are the cloud's (`Waitting` has two t).
//!
//! The client reads with these types what the simulator writes. An optional field is omitted when absent; unknown fields are
//! ignored. Facts: SDK 3.1.219 unless a line states otherwise.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A time as IoTDA writes it: `20240305T060708Z`, always UTC.
#[must_use]
pub fn format_time(time: Timestamp) -> String {
    time.strftime(TIME_FORMAT).to_string()
}

/// Reads a time as IoTDA writes it; none when it has another form.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = if text.len() == 16 { DateTime::strptime(TIME_FORMAT, text).ok()? } else { return None };
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

// Declared before the modules, so that they can use it.

/// Declares an enum whose values are strings on the wire, with a variant for undocumented values.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
            /// An undocumented value.
            #[serde(untagged)]
            Other(String),
        }

        impl $name {
            /// Its form on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// Declares wire structs: fields after `@optional` are omitted when absent, and may be absent or null when read.
macro_rules! wire_struct {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)*
        $(@optional $($(#[$optional_doc:meta])* $optional:ident: $optional_type:ty,)+)?
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name {
                $($(#[$required_doc])* pub $required: $required_type,)*
                $($(
                    $(#[$optional_doc])*
                    #[serde(skip_serializing_if = "Option::is_none")]
                    pub $optional: Option<$optional_type>,
                )+)?
            }
        )+
    };
}

mod device;
mod iam;
mod package;
mod task;

pub use device::*;
pub use iam::*;
pub use package::*;
pub use task::*;

wire_struct! {
    /// Position of a list.
    Page {
        @optional
        /// Rows that match the filter, on all pages.
        count: u64,
        /// Id of the last row of this page.
        marker: String,
    }

    /// An error, of a whole call or of one device.
    ErrorBody {
        @optional
        /// Such as `IOTDA.000006`.
        error_code: String,
        /// Message.
        error_msg: String,
        /// Id of the request; only the gateway writes it into the body.
        request_id: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_and_nothing_else_is() {
        let time = parse_time("20240305T060708Z").unwrap();
        assert_eq!(time.to_string(), "2024-03-05T06:07:08Z");
        assert_eq!(format_time(time), "20240305T060708Z");
        for wrong in ["", "20240305T060708", "2024-03-05T06:07:08Z", "20241305T060708Z", "20240305T06070éZ"]
        {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn statuses_keep_the_clouds_spelling_and_unknown_ones_their_text() {
        let read: TaskStatus = serde_json::from_str("\"Waitting\"").unwrap();
        assert_eq!(read, TaskStatus::Waitting);
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"Waitting\"");
        let other: TargetStatus = serde_json::from_str("\"Waiting\"").unwrap();
        assert_eq!(other, TargetStatus::Other("Waiting".to_owned()));
        assert_eq!(serde_json::to_string(&other).unwrap(), "\"Waiting\"");
    }

    #[test]
    fn absent_fields_are_left_out_and_null_or_unknown_ones_are_read() {
        let text = r#"{"package_id":"p","package_type":"firmwarePackage","product_id":"q","version":"V1",
            "description":null,"tomorrow":{"a":1}}"#;
        let package: OtaPackage = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&package).unwrap();
        assert_eq!(
            written,
            r#"{"package_id":"p","package_type":"firmwarePackage","product_id":"q","version":"V1"}"#
        );
    }
}
