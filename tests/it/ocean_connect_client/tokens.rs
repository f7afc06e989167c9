//! One token an application.

use super::*;
use rollwave::cloud::ocean_connect::{Kept, Shelf};
use secrecy::SecretString;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test]
async fn accounts_of_one_application_share_its_token_and_it_is_refreshed_before_it_ends() {
    let (wire, sessions) = (Wire::new(""), Sessions::default());
    let (first, second) = (client(&wire, &sessions, "s&cret=1"), client(&wire, &sessions, "s&cret=1"));
    for client in [&first, &second, &first] {
        client.perform(&list_packages(), wire.now()).await.unwrap();
    }
    assert_eq!(wire.paths(), ["login", "category", "category", "category"]);
    wire.wait(SignedDuration::from_mins(56));
    second.perform(&list_packages(), wire.now()).await.unwrap();
    first.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["refreshToken", "category", "category"]);
    wire.wait(HOUR * 2);
    first.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["refreshToken", "category"]);
}

#[tokio::test]
async fn callers_at_the_same_time_cost_one_login() {
    let (wire, sessions) = (Wire::new(""), Sessions::default());
    let client = client(&wire, &sessions, "s&cret=1");
    let (call, now) = (list_packages(), wire.now());
    let (a, b) = tokio::join!(client.perform(&call, now), client.perform(&call, now));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(wire.paths().iter().filter(|path| *path == "login").count(), 1);
}

#[tokio::test]
async fn a_refused_refresh_is_followed_by_a_login() {
    let (wire, sessions) = (Wire::new(""), Sessions::default());
    let client = client(&wire, &sessions, "s&cret=1");
    client.perform(&list_packages(), wire.now()).await.unwrap();
    // Somebody else signs in: the refresh token is not the last one any more.
    perform(&wire, &list_packages()).await.unwrap();
    wire.paths();
    wire.wait(HOUR * 2);
    client.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["refreshToken", "login", "category"]);
}

/// Two programs that threw each other out would make 1010005 storms, and neither would get anything done.
#[tokio::test]
async fn two_programs_with_one_application_do_not_fight() {
    let wire = Wire::new("");
    let (ours, theirs) = (Sessions::default(), Sessions::default());
    let (ours, theirs) = (client(&wire, &ours, "s&cret=1"), client(&wire, &theirs, "s&cret=1"));
    ours.perform(&list_packages(), wire.now()).await.unwrap();
    theirs.perform(&list_packages(), wire.now()).await.unwrap();
    wire.paths();
    ours.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["category", "login", "category"], "once it is taken back");
    theirs.perform(&list_packages(), wire.now()).await.unwrap();
    wire.paths();
    for calls in [1, 0, 0] {
        let error = ours.perform(&list_packages(), wire.now()).await.unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Unauthorized, Effect::None));
        assert!(error.to_string().contains("another program signs in with application app1"), "{error}");
        assert_eq!(wire.paths().len(), calls, "and then not again for a while");
    }
    wire.wait(SignedDuration::from_mins(5));
    ours.perform(&list_packages(), wire.now()).await.unwrap();
}

/// Only a token that replaced a rejected one shows, when it is rejected in turn, that another program signs in.
#[tokio::test]
async fn a_sign_in_that_failed_is_not_taken_for_another_program() {
    let (wire, shelf) = (Wire::new(""), Drawer::default());
    let sessions = Sessions::shared(Arc::new(shelf));
    let client = client(&wire, &sessions, "s&cret=1");
    client.perform(&list_packages(), wire.now()).await.unwrap();
    perform(&wire, &list_packages()).await.unwrap();
    wire.fail_sign_in();
    let error = client.perform(&list_packages(), wire.now()).await.unwrap_err();
    assert_eq!((error.class, error.effect), (ErrorClass::Unavailable, Effect::None));
    wire.paths();
    client.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["login", "category"], "nor is the rejected token sent once more");
}

#[tokio::test]
async fn a_wrong_secret_is_one_clear_error_that_shows_no_secret() {
    let wire = Wire::new("");
    let client = client(&wire, &Sessions::default(), "hunter2");
    let error = client.perform(&list_packages(), wire.now()).await.unwrap_err();
    assert_eq!((error.class, error.effect), (ErrorClass::Unauthorized, Effect::None));
    assert!(error.to_string().contains("spec.credentials.appSecret"), "{error}");
    let shown = format!("{error} {error:?} {:?}", wire.sent.lock().unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// What processes of one state share, without its files.
#[derive(Clone, Default)]
struct Drawer(Arc<tokio::sync::Mutex<Option<SecretString>>>);

struct Open(tokio::sync::OwnedMutexGuard<Option<SecretString>>);

#[async_trait]
impl Shelf for Drawer {
    async fn open(&self, _name: &str) -> Option<Box<dyn Kept>> {
        Some(Box::new(Open(self.0.clone().lock_owned().await)))
    }
}

impl Kept for Open {
    fn read(&mut self) -> Option<SecretString> {
        self.0.clone()
    }

    fn write(&mut self, text: &SecretString) {
        *self.0 = Some(text.clone());
    }
}

/// `rollwave plan` beside `rollwave run`: each has sessions of its own, and both have one shelf.
#[tokio::test]
async fn processes_of_one_state_share_a_token_and_never_put_each_other_out() {
    let (wire, shelf) = (Wire::new(""), Drawer::default());
    let process = || Sessions::shared(Arc::new(shelf.clone()));
    let (run, plan) = (process(), process());
    let (run, plan) = (client(&wire, &run, "s&cret=1"), client(&wire, &plan, "s&cret=1"));
    run.perform(&list_packages(), wire.now()).await.unwrap();
    plan.perform(&list_packages(), wire.now()).await.unwrap();
    run.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["login", "category", "category", "category"]);
    // One renews it: the other finds that its own has ended, and takes the new one.
    wire.wait(SignedDuration::from_mins(56));
    plan.perform(&list_packages(), wire.now()).await.unwrap();
    run.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["refreshToken", "category", "category"]);
    // Somebody else signs in: one of them takes it back, once, and the other follows.
    perform(&wire, &list_packages()).await.unwrap();
    wire.paths();
    run.perform(&list_packages(), wire.now()).await.unwrap();
    plan.perform(&list_packages(), wire.now()).await.unwrap();
    assert_eq!(wire.paths(), ["category", "login", "category", "category", "category"]);
}

#[tokio::test]
async fn a_shared_token_is_for_the_secret_that_it_was_given_for() {
    let (wire, shelf) = (Wire::new(""), Drawer::default());
    let process = || Sessions::shared(Arc::new(shelf.clone()));
    client(&wire, &process(), "s&cret=1").perform(&list_packages(), wire.now()).await.unwrap();
    let error = client(&wire, &process(), "hunter2").perform(&list_packages(), wire.now()).await.unwrap_err();
    assert!(error.to_string().contains("spec.credentials.appSecret"), "{error}");
    *shelf.0.lock().await = Some("{not what was written".into());
    client(&wire, &process(), "s&cret=1").perform(&list_packages(), wire.now()).await.unwrap();
}
