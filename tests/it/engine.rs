//! The whole program against a simulated cloud: what really happened there is compared with what must have happened.

mod accounts;
mod aliyun;
mod aliyun_files;
mod aliyun_lost;
mod aliyun_modules;
mod artifacts;
mod bad_input;
mod calls;
mod control;
mod crash;
mod cron;
mod day_two;
mod enos;
mod folder;
mod four;
pub mod harness;
mod kills;
mod ocean_connect;
mod outcomes;
mod ownership;
mod prices;
mod pruning;
mod requests;
mod somebody;
mod strangers;
mod surroundings;
mod trouble;
