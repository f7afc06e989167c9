//! `rollwave reconcile`, `pause`, `resume`, `retry`, `restart` and `prune`: requests of users that do not change manifests.

use super::news::{self, News};
use super::place::{Found, Place};
use super::select::{Selector, select};
use super::{Context, Exit};
use crate::api::{Kind, Object, ObjectKey, Period, Request, withheld_since};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Arguments of the verbs that request something.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// KIND/NAME or KIND/NAMESPACE/NAME; KIND alone selects all objects of the kind.
    #[arg(value_name = "KIND/NAME", required = true)]
    pub wanted: Vec<Selector>,
    /// Wait until the request is handled.
    #[arg(long)]
    pub wait: bool,
    /// Stop waiting after this time (30s, 5m) and exit with code 4.
    #[arg(long, value_name = "PERIOD", requires = "wait")]
    pub timeout: Option<Period>,
    /// Where the objects are.
    #[command(flatten)]
    pub place: Place,
}

/// Sends the request to the objects.
pub async fn run(request: Request, args: &Args, ctx: &Context) -> Exit {
    ask(request, args, ctx).await.unwrap_or_else(|error| ctx.fail(error))
}

async fn ask(request: Request, args: &Args, ctx: &Context) -> Result<Exit, String> {
    check(request, &args.wanted)?;
    let found = Found::find(&args.place, ctx).await?;
    if request == Request::Prune && matches!(found, Found::Cluster { .. }) {
        return Err("objects of a cluster are deleted with `kubectl delete`".to_owned());
    }
    let keys = meant(request, &found, args, ctx).await?;
    let news = if args.wait { Some(news::of(&found, keys.iter().cloned().collect())?) } else { None };
    let mut waiting = Waiting { request, open: BTreeMap::new(), exit: Exit::Done };
    for key in keys {
        let at = found.ask(&key, request).await?;
        ctx.printer.line(format!("{key}: {} requested", request.as_str()));
        waiting.open.insert(key, at);
    }
    if !waiting.open.is_empty() {
        ctx.printer.note(found.follower());
    }
    Ok(match news {
        Some(news) => waiting.until_handled(news, args.timeout, ctx).await,
        None => Exit::Done,
    })
}

/// Checked before objects are read.
fn check(request: Request, wanted: &[Selector]) -> Result<(), String> {
    let Some(other) = wanted.iter().find(|selector| !request.concerns(selector.kind)) else { return Ok(()) };
    let whom = if request.concerns(Kind::OtaPackage) { "rollouts and packages" } else { "rollouts" };
    Err(format!("{other}: {} works on {whom} only", request.as_str()))
}

async fn meant(
    request: Request,
    found: &Found,
    args: &Args,
    ctx: &Context,
) -> Result<Vec<ObjectKey>, String> {
    let (objects, wrong) = found.objects(&args.wanted).await?;
    wrong.iter().for_each(|wrong| ctx.printer.note(wrong));
    let meant = select(&objects, &args.wanted, found.namespace())?;
    if request != Request::Prune {
        return Ok(meant.into_iter().map(Object::key).collect());
    }
    let is_withheld = |object: &&Object| withheld_since(object.meta()).is_some();
    let withheld: Vec<ObjectKey> = meant.into_iter().filter(is_withheld).map(Object::key).collect();
    match withheld.is_empty() {
        true => {
            Err("no deletion awaits confirmation: the manifests exist, or the objects are deleted already"
                .to_owned())
        }
        false => Ok(withheld),
    }
}

/// Requests that are not handled yet.
struct Waiting {
    request: Request,
    /// The time of the request, by object.
    open: BTreeMap<ObjectKey, Timestamp>,
    exit: Exit,
}

impl Waiting {
    async fn until_handled(
        mut self,
        mut news: BoxStream<'static, News>,
        timeout: Option<Period>,
        ctx: &Context,
    ) -> Exit {
        let end = timeout.map(|timeout| Instant::now() + Duration::from_secs(timeout.as_secs()));
        let mut silence = String::new();
        while !self.open.is_empty() {
            let next = async {
                match end {
                    Some(end) => tokio::time::timeout_at(end, news.next()).await.ok().flatten(),
                    None => news.next().await,
                }
            };
            match next.await {
                None => return self.give_up(timeout, ctx),
                Some(News::Silence(why)) if why == silence => {}
                Some(News::Silence(why)) => {
                    ctx.printer.note(&why);
                    silence = why;
                }
                Some(news) => self.take(news, ctx),
            }
        }
        self.exit
    }

    fn take(&mut self, news: News, ctx: &Context) {
        let key = match &news {
            News::Is(object) => object.key(),
            News::Gone(key) | News::Wrong(key, _) => key.clone(),
            News::Silence(_) => return,
        };
        let Some(at) = self.open.get(&key) else { return };
        let verb = self.request.as_str();
        match news {
            News::Is(object) if self.request.is_handled(&object, *at) => {
                let (message, is_refused) = answer(self.request, &object);
                let line = format!("{key}: {verb} handled: {message}");
                if is_refused {
                    self.exit = ctx.fail(line);
                } else {
                    ctx.printer.line(line);
                }
            }
            News::Gone(_) if self.request == Request::Prune => {
                ctx.printer.line(format!("{key}: deleted"));
            }
            News::Gone(_) => self.exit = ctx.fail(format!("{key}: deleted before {verb} was handled")),
            News::Wrong(_, why) => self.exit = ctx.fail(format!("{key}: {why}")),
            News::Is(_) | News::Silence(_) => return,
        }
        self.open.remove(&key);
    }

    fn give_up(&self, timeout: Option<Period>, ctx: &Context) -> Exit {
        let (verb, limit) = (self.request.as_str(), timeout.unwrap_or(Period::seconds(0)));
        for key in self.open.keys() {
            ctx.printer.error(format!(
                "{key}: {verb} was not handled within {limit} and stays requested: `rollwave why` shows what delays it"
            ));
        }
        Exit::Timeout
    }
}

/// The answer to a request, and whether it was refused.
fn answer(request: Request, object: &Object) -> (String, bool) {
    let (rules, refused): (&[&str], &str) = match request {
        Request::Retry => (&["RetryTaken", "RetryRefused"], "RetryRefused"),
        Request::Restart => (&["RunStarted", "RestartRefused"], "RestartRefused"),
        _ => (&[], ""),
    };
    let decided = object.decisions().iter().rfind(|decision| rules.contains(&decision.rule.as_str()));
    let told = decided.filter(|decision| request == Request::Retry || decision.rule == refused);
    match told {
        Some(decision) => (decision.message.clone(), decision.rule == refused),
        None => (object.message().to_owned(), false),
    }
}
