//! Why a model root cannot be made.

use std::path::PathBuf;

/// Every way [`super::generate`] fails.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cannot read the table {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the table `{table}` has no column `{column}`")]
    Column { table: &'static str, column: &'static str },
    #[error("`{table}` line {line}: {field} is not understood")]
    Field { table: &'static str, line: usize, field: &'static str },
    #[error("no package is called `{name}`{}", near(nearest))]
    UnknownPackage { name: String, nearest: Option<String> },
    #[error("cannot build the object of `{path}`")]
    Object { path: String, source: object::build::Error },
    #[error("`{owner}:{group}` of `{path}` is no account of the model")]
    Account { path: String, owner: String, group: String },
    #[error("cannot make a root in {}: it is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

fn near(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
