//! `tenure verify` on a store, where the folders of tables are copies, and on
//! Delta tables: what is damaged is named, and its next move repairs it.

use super::server;
use super::trial::{Said, Trial};
use super::{FIRST, SECOND};

const VERIFY: [&str; 2] = ["verify", "pipelines/p.yaml"];
const FOLDER: &str = "verified";

/// A folder in which all is well; then one object is changed.
struct Damaged<'a>(&'a Trial);

impl<'a> Damaged<'a> {
    fn new(trial: &'a Trial) -> Self {
        trial.begin(FOLDER);
        let said = trial.other(FOLDER, &VERIFY);
        assert_eq!(said.code, 0, "{}", said.text);
        assert!(said.text.ends_with(": all as published\n"), "{}", said.text);
        Self(trial)
    }

    /// The first object below the folder whose path has these parts.
    fn find(&self, parts: &[&str]) -> String {
        let listed = self.0.outside.list(FOLDER);
        let is_it = |path: &&String| parts.iter().all(|part| path.contains(part));
        listed.iter().find(is_it).unwrap_or_else(|| panic!("{parts:?}: {listed:?}")).clone()
    }

    /// The same size, another bit.
    fn flip(&self, path: &str) {
        let mut content = self.0.outside.get(path).expect("there");
        let middle = content.len() / 2;
        content[middle] ^= 4;
        self.0.outside.put(path, content);
    }

    fn verified(&self, more: &[&str]) -> Said {
        self.0.other(FOLDER, &[&VERIFY, more].concat())
    }

    /// Names a path and the next move, which repairs it.
    fn is_repaired(&self, path: &str, day: &str) {
        let relative = path.strip_prefix(FOLDER).expect("below").trim_start_matches('/');
        let said = self.verified(&[]);
        assert_eq!(said.code, 1, "{}", said.text);
        assert!(said.text.contains(relative), "{relative}: {}", said.text);
        let next = format!("tenure run pipelines/p.yaml --as-of {day} --full-refresh");
        assert!(said.text.contains(&format!("`{next}`")), "{}", said.text);
        let next: Vec<&str> = next.split(' ').skip(1).collect();
        let run = self.0.other_with_orders(FOLDER, &next);
        assert_eq!(run.code, 0, "{}", run.text);
        let said = self.verified(&[]);
        assert_eq!(said.code, 0, "{}", said.text);
    }
}

#[test]
fn what_a_store_has_changed_is_named_and_made_again() {
    let trial = Trial::new(server::gcs());
    let damaged = Damaged::new(&trial);
    let set = damaged.find(&["_tenure/sets/", "facts.customers", FIRST]);
    damaged.flip(&set);
    // Other days and other tables are sound.
    assert_eq!(damaged.verified(&["--as-of", SECOND]).code, 0);
    assert_eq!(damaged.verified(&["--select", "repurchase_*"]).code, 0);
    assert_eq!(damaged.verified(&["--select", "customers"]).code, 1);
    let show = ["show", "pipelines/p.yaml", "customers", "--as-of", FIRST];
    let shown = trial.other(FOLDER, &show);
    assert_eq!(shown.code, 1, "{}", shown.text);
    assert!(shown.text.contains("is not as it was written"), "{}", shown.text);
    damaged.is_repaired(&set, FIRST);
    assert_eq!(trial.other(FOLDER, &show).code, 0);

    // Only the copy, which no run reads.
    let copy = damaged.find(&["/customers/", SECOND]);
    damaged.flip(&copy);
    damaged.is_repaired(&copy, SECOND);

    // Cut short, and gone.
    trial.outside.put(&copy, b"PAR1".to_vec());
    assert!(damaged.verified(&[]).text.contains("it has 4 bytes, published were "));
    damaged.is_repaired(&copy, SECOND);
    trial.outside.delete(&copy);
    assert!(damaged.verified(&[]).text.contains("it is gone"));
    damaged.is_repaired(&copy, SECOND);

    // More than is published.
    let surplus = copy.replace("part-00000", "part-00001");
    trial.outside.put(&surplus, trial.outside.get(&copy).expect("there"));
    let said = damaged.verified(&[]);
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(said.text.contains("nothing published names them"), "{}", said.text);
    trial.outside.delete(&surplus);
    assert_eq!(damaged.verified(&[]).code, 0);

    let unknown = damaged.verified(&["--select", "custmers"]);
    assert_eq!(unknown.code, 2, "{}", unknown.text);
    assert!(unknown.text.contains("did you mean `customers`?"), "{}", unknown.text);
    let unknown = damaged.verified(&["--as-of", "2024-01-01"]);
    assert_eq!(unknown.code, 2, "{}", unknown.text);
    let lost = trial.other("nowhere", &VERIFY);
    assert_eq!(lost.code, 2, "{}", lost.text);
}

#[test]
fn what_a_store_has_changed_of_delta_tables_is_named_and_made_again() {
    let trial = Trial::of_delta(server::gcs());
    let damaged = Damaged::new(&trial);
    for day in [FIRST, SECOND] {
        let copy = damaged.find(&["/customers/as_of=", day]);
        damaged.flip(&copy);
        damaged.is_repaired(&copy, day);
    }
    // A log that ends before the version that is published.
    let logs = trial.outside.list(&format!("{FOLDER}/customers/_delta_log"));
    let last = logs.iter().rfind(|path| path.ends_with(".json")).expect("a commit");
    trial.outside.delete(last);
    let said = damaged.verified(&[]);
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(said.text.contains("its newest version is "), "{}", said.text);
    // Its next move, to the letter.
    for path in trial.outside.list(&format!("{FOLDER}/customers/_delta_log")) {
        trial.outside.delete(&path);
    }
    trial.outside.delete(&format!("{FOLDER}/_tenure/view.json"));
    let gc = trial.other(FOLDER, &["gc", "pipelines/p.yaml"]);
    assert_eq!(gc.code, 0, "{}", gc.text);
    let said = damaged.verified(&[]);
    assert_eq!(said.code, 0, "{}", said.text);
}
