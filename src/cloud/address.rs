//! Where keys may be sent: an address that can be requested, over an encrypted connection, and, in a cluster whose operator
//! configures it, only to listed hosts.

use std::{fmt, str::FromStr};
use url::{Host, Url};

/// The address of an account, checked.
///
/// # Errors
/// A message without the path of the field: the address is malformed, or neither encrypted nor on this machine.
pub fn check(address: &str, allow_insecure: bool) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|error| format!("{address} is not an address: {error}"))?;
    if url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{address} is not an address: use https://HOST or https://HOST:PORT"));
    }
    if url.scheme() == "http" && !is_loopback(&url) && !allow_insecure {
        return Err(format!(
            "{address} is not encrypted: use https://, or set spec.allowInsecure: true in a trusted network"
        ));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A host that keys may be sent to: `iot.example.com`, `iot.example.com:8743`, or `*.example.com` for every host below it.
/// Without a port, every port is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    below: bool,
    port: Option<u16>,
}

impl AllowedHost {
    /// True when this address is on the host.
    #[must_use]
    pub fn allows(&self, address: &Url) -> bool {
        let Some(host) = address.host_str() else { return false };
        let host = host.trim_end_matches('.');
        let is_host = if self.below {
            host.strip_suffix(&self.host).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
        } else {
            host == self.host
        };
        is_host && self.port.is_none_or(|port| address.port_or_known_default() == Some(port))
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (below, port) = (if self.below { "*." } else { "" }, self.port.map(|port| format!(":{port}")));
        write!(f, "{below}{}{}", self.host, port.unwrap_or_default())
    }
}

/// The text is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a host (try iot.example.com, iot.example.com:8743 or *.example.com)")]
pub struct NotAHost(String);

impl FromStr for AllowedHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAHost(text.to_owned());
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains(['/', '*', '@', '?', '#']) || rest.chars().any(char::is_whitespace) {
            return Err(wrong());
        }
        // A default port would be dropped from a URL whose scheme has one.
        let url = Url::parse(&format!("rollwave://{rest}")).map_err(|_| wrong())?;
        let host = Url::parse(&format!("https://{rest}")).map_err(|_| wrong())?;
        let host = host.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
        Ok(Self { host, below, port: url.port() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_leave_this_machine_encrypted_only() {
        for (address, insecure, words) in [
            ("https://iot.example.com", false, None),
            ("https://iot.example.com:8743/", false, None),
            ("http://127.0.0.1:8080", false, None),
            ("http://localhost", false, None),
            ("http://[::1]:8080", false, None),
            ("http://10.0.0.7", true, None),
            ("http://10.0.0.7", false, Some("is not encrypted")),
            ("http://localhost.example.com", false, Some("is not encrypted")),
            ("http://127.0.0.1.example.com", false, Some("is not encrypted")),
            ("https://127.0.0.1:99999", false, Some("is not an address: invalid port number")),
            ("http://::1:8080", false, Some("is not an address")),
            ("https://:8080", false, Some("is not an address: empty host")),
            ("https://999.1.1.1", false, Some("is not an address: invalid IPv4 address")),
            ("ftp://iot.example.com", false, Some("use https://HOST or https://HOST:PORT")),
        ] {
            let checked = check(address, insecure);
            match words {
                None => assert!(checked.is_ok(), "{address}: {checked:?}"),
                Some(words) => assert!(
                    checked.as_ref().is_err_and(|message| message.contains(words)),
                    "{address}: {checked:?}"
                ),
            }
        }
    }

    #[test]
    fn a_list_of_hosts_allows_these_and_no_others() {
        for (listed, address, allowed) in [
            ("iot.example.com", "https://iot.example.com", true),
            ("iot.example.com", "https://IOT.example.com:8743", true),
            ("iot.example.com:8743", "https://iot.example.com:8743", true),
            ("iot.example.com:8743", "https://iot.example.com", false),
            ("iot.example.com:443", "https://iot.example.com", true),
            ("iot.example.com", "https://iot.example.com.evil.net", false),
            ("iot.example.com", "https://eviliot.example.com", false),
            ("*.example.com", "https://a.b.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("*.example.com", "https://evilexample.com", false),
            ("[::1]:7070", "http://[::1]:7070", true),
        ] {
            let host: AllowedHost = listed.parse().unwrap();
            assert_eq!(host.to_string(), listed);
            assert_eq!(host.allows(&Url::parse(address).unwrap()), allowed, "{listed} {address}");
        }
        for wrong in
            ["", "*", "*.", "https://iot.example.com", "iot.example.com/x", "a b", "iot.*.com", "h:99999"]
        {
            assert!(wrong.parse::<AllowedHost>().is_err(), "{wrong}");
        }
    }
}
