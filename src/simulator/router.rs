//! The router of all clouds: which operation a request is for, and which handler answers it.
//!
//! Each cloud has one table of its operations, which `operations!` makes an enum of.

use super::fleet::Fleet;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Makes the operations of a cloud: for each its name, its place, and the handler that answers a [`Call`].
macro_rules! operations {
    (
        $(#[$doc:meta])*
        $name:ident at $place:ty,
        |$cloud:ident: $cloud_type:ty, $fleet:ident, $account:ident, $id:ident, $request:ident: $request_type:ident| -> $handled:ty;
        $($operation:ident $at:literal => $handler:expr,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are the documented ones, or speak for themselves")]
        pub enum $name { $($operation),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$operation),*];

            /// Its name, for counters and faults.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$operation => stringify!($operation)),* }
            }

            const fn place(self) -> $place {
                match self { $(Self::$operation => $at),* }
            }

            /// Answers a call.
            pub(super) fn answer(self, call: Call<'_, $cloud_type, $request_type<'_>>) -> $handled {
                let Call { cloud: $cloud, fleet: $fleet, account: $account, id: $id, request: $request } = call;
                match self { $(Self::$operation => $handler),* }
            }
        }
    };
}
pub(super) use operations;

/// What a handler answers from: the cloud and its fleet, the account that calls, and its request.
pub(super) struct Call<'a, C, R> {
    pub cloud: &'a mut C,
    pub fleet: &'a mut Fleet,
    pub account: usize,
    pub id: &'a str,
    pub request: &'a R,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<O> {
    /// What is requested.
    pub operation: O,
    /// `{project}` of the path; empty where it has none.
    pub project: String,
    /// `{id}` of the path; empty for lists and creates.
    pub id: String,
}

/// The places of a cloud's operations: `GET|POST path/{id}?name=value`, below `base` unless the path begins with a slash.
pub(super) struct Places<'a, O> {
    pub base: &'a str,
    pub all: &'a [O],
    pub place: fn(O) -> &'static str,
}

impl<O: Copy> Places<'_, O> {
    /// The route of a request, if there is one. `path` is the wire's.
    pub fn find(&self, method: &str, path: &str, query: &[(String, String)]) -> Option<Route<O>> {
        let path: Vec<_> = path
            .strip_prefix('/')?
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy())
            .collect();
        self.all.iter().find_map(|operation| {
            let (methods, place) = (self.place)(*operation).split_once(' ')?;
            let (place, parameter) = place.split_once('?').unwrap_or((place, ""));
            let is_it = methods.split('|').any(|known| known == method) && has_parameter(query, parameter);
            is_it.then(|| self.match_path(*operation, place, &path))?
        })
    }

    fn match_path(&self, operation: O, place: &str, path: &[Cow<'_, str>]) -> Option<Route<O>> {
        let base = if place.starts_with('/') { "" } else { self.base };
        let parts = base.split('/').chain(place.split('/')).filter(|part| !part.is_empty());
        let mut route = Route { operation, project: String::new(), id: String::new() };
        let mut given = path.iter();
        for part in parts {
            let given = given.next()?.as_ref();
            match part {
                "{project}" => given.clone_into(&mut route.project),
                "{id}" => given.clone_into(&mut route.id),
                _ if part == given => {}
                _ => return None,
            }
        }
        given.next().is_none().then_some(route)
    }
}

/// Whether a query has `name=value`; an empty parameter is always there.
fn has_parameter(query: &[(String, String)], parameter: &str) -> bool {
    parameter.split_once('=').is_none_or(|(name, value)| {
        query.iter().find(|(given, _)| given == name).is_some_and(|(_, given)| given == value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [&str; 4] =
        ["GET things", "GET|POST things/{id}", "POST /login", "POST things?action=make"];

    fn found(method: &str, path: &str, action: &str) -> Option<(usize, String, String)> {
        let places =
            Places { base: "v1/{project}", all: &[0, 1, 2, 3], place: |operation: usize| PLACES[operation] };
        let query = [("action".to_owned(), action.to_owned())];
        places.find(method, path, &query).map(|route| (route.operation, route.project, route.id))
    }

    #[test]
    fn a_place_is_found_by_method_path_and_parameter() {
        let is = |operation, project: &str, id: &str| Some((operation, project.to_owned(), id.to_owned()));
        for (method, path, action, expected) in [
            ("GET", "/v1/p/things", "", is(0, "p", "")),
            ("POST", "/v1/p/things/a%2Fb", "", is(1, "p", "a/b")),
            ("POST", "/login", "", is(2, "", "")),
            ("POST", "/v1/p/things", "make", is(3, "p", "")),
            ("POST", "/v1/p/things", "break", None),
            ("PUT", "/v1/p/things/a", "", None),
            ("GET", "/v1/p/things/a/b", "", None),
            ("GET", "/v1/p/thing", "", None),
            ("GET", "v1/p/things", "", None),
            ("POST", "/v1/p/login", "", None),
        ] {
            assert_eq!(found(method, path, action), expected, "{method} {path} {action}");
        }
    }
}
