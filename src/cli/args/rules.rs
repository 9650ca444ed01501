//! Commands about rules: `rules` and `explain-rule`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Rules {
    #[command(subcommand)]
    pub action: RulesAction,
    /// A directory of further rules.
    #[arg(long, value_name = "DIR", global = true)]
    pub rules: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExplainRule {
    /// The rule's id, as reasons name it.
    pub id: String,
    /// A manifest: the entries that are in by the rule, and what would go without it.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// A directory of further rules.
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum RulesAction {
    /// One line a rule.
    List {
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// The whole text of a rule.
    Show { id: String },
    /// Unknown keys, duplicate ids, conflicts, rules without a firing example; runs the examples.
    Check,
}
