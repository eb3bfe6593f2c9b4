//! How a run ended, as its journal, the manifest and the lock tell it: for
//! someone who asks for what it made.

use crate::error::Result;
use crate::run;
use crate::run::target::{Record, RunId, Status, Step, Target};

/// What some errors say besides, and an ending says of every run.
const UNSEEN: &str = "; nothing was published";

/// How a run ended, or that it did not.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What became of it.
    pub status: Status,
    /// The last it had done.
    reached: Option<Step>,
    /// Why it failed, without causes and help.
    error: Option<String>,
}

impl Ending {
    /// The ending of a run with these steps.
    ///
    /// # Errors
    /// The target cannot be read.
    pub async fn find(target: &Target, run_id: &RunId, steps: &[Record]) -> Result<Self> {
        let mut ending = Self::noted(steps);
        // It may have died between publishing and writing that down.
        if ending.status != Status::Published {
            let manifest = target.manifest().await.map_err(run::explain)?;
            if manifest.is_some_and(|manifest| manifest.history.contains(run_id)) {
                ending.status = Status::Published;
            }
        }
        if ending.status == Status::Died {
            let working = target.working().await.map_err(run::explain)?;
            if working.as_ref() == Some(run_id) {
                ending.status = Status::Running;
            }
        }
        Ok(ending)
    }

    /// What the journal alone says. Pure.
    fn noted(steps: &[Record]) -> Self {
        let mut ending = Self { status: Status::Died, reached: None, error: None };
        for Record { step, .. } in steps {
            match step {
                Step::Published { .. } => ending.status = Status::Published,
                Step::Failed { error, .. } => {
                    let first = error.lines().next().unwrap_or_default();
                    ending.error = Some(first.trim_end_matches(UNSEEN).to_string());
                    if ending.status == Status::Died {
                        ending.status = Status::Failed;
                    }
                }
                Step::Interrupted if ending.status == Status::Died => {
                    ending.status = Status::Interrupted;
                }
                Step::Finished if ending.status == Status::Died => ending.status = Status::Finished,
                Step::SourceListed(_)
                | Step::SourceRead(_)
                | Step::TableStaged(_)
                | Step::Audited { .. } => ending.reached = Some(step.clone()),
                _ => {}
            }
        }
        ending
    }

    /// Whether readers have seen what it made.
    pub fn is_published(&self) -> bool {
        self.status == Status::Published
    }

    /// `died after it had staged facts.customers`: goes on after a subject.
    pub fn phrase(&self) -> String {
        let error = self.error.iter().map(|error| format!(": {error}")).collect::<String>();
        match self.status {
            Status::Running => "is at work".into(),
            Status::Published => "has published".into(),
            Status::Finished => "found nothing to do, and made no table".into(),
            Status::Failed => format!("failed {}{error}", self.place()),
            Status::Interrupted => format!("was interrupted {}", self.place()),
            Status::Died => format!("died {}", self.place()),
        }
    }

    /// Where in its work it ended.
    fn place(&self) -> String {
        match &self.reached {
            Some(Step::SourceListed(_)) => "after it had listed its sources".into(),
            Some(Step::SourceRead(read)) => {
                format!("after it had read source `{}`", read.source)
            }
            Some(Step::TableStaged(table)) => format!("after it had staged `{}`", table.table),
            Some(Step::Audited { failures, .. }) if failures.is_empty() => {
                "after its checks".into()
            }
            Some(Step::Audited { .. }) => "in its checks".into(),
            _ => "before it had listed its sources".into(),
        }
    }
}
