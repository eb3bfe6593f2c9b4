//! Runs that die, and what the next one finds and does.

use super::support::*;
use crate::run::target::*;
use crate::storage::{Environment, Options};

#[tokio::test]
async fn a_run_that_dies_before_publishing_changes_nothing() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["old"]).await.expect("published");
        let before = hive(location).await;
        let died = expiring(location).claim(fresh()).await.expect("free");
        stage(&died, TABLE, day("2026-11-20"), &["new"]).await.expect("staged");
        drop(died);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        assert_whole(location).await;
        claim(location).await.release().await;
        assert_eq!(hive(location).await, before);
    }
}

#[tokio::test]
async fn the_next_run_repairs_folders_that_are_behind() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["old", "old2"]).await.expect("published");
        let marker = text(location, "_tenure/view.json").await.expect("marker");
        run(location, "2026-11-20", &["new"]).await.expect("published");
        // As if the second run had died right after its manifest: old marker,
        // and folders half refreshed.
        location.put("_tenure/view.json", marker.into()).await.expect("put");
        location
            .delete("cohort_retention/as_of=2026-11-20/part-00000.parquet")
            .await
            .expect("deleted");
        location
            .put("rfm_scores/as_of=2026-11-20/part-00001.parquet", "old2".into())
            .await
            .expect("put");
        assert!(!target(location).view_is_current().await.expect("looks"));
        claim(location).await.release().await;
        assert!(target(location).view_is_current().await.expect("looks"));
        let files = hive(location).await;
        assert_eq!(files.len(), 2);
        assert!(files.values().all(|content| content == "new"));
    }
}

/// What a run finds in the marker while it brings the folders up to date.
async fn half_refreshed(claim: &Claim, marker: &str) -> view::Refreshed {
    claim.location.put(marker::MARKER, marker.to_owned().into()).await.expect("put");
    let showing = delta::Showing {
        location: &claim.location,
        manifest: &claim.manifest,
        lock: &claim.lock,
        now: claim.clock.now(),
    };
    let refreshed = view::refresh(&showing, delta::Planned::default()).await;
    refreshed.expect("refreshed").expect("the marker is behind")
}

#[tokio::test]
async fn a_marker_that_a_sleeper_removes_meanwhile_is_not_set() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["old"]).await.expect("published");
        let marker = text(location, marker::MARKER).await.expect("marker");
        run(location, "2026-11-20", &["new"]).await.expect("published");
        let mut claim = claim(location).await;
        let refreshed = half_refreshed(&claim, &marker).await;
        // A run that has lost its lock wakes, copies one old file, and sees.
        let late = "cohort_retention/as_of=2026-11-20/part-00000.parquet";
        location.put(late, "old".into()).await.expect("put");
        location.delete(marker::MARKER).await.expect("deleted");
        assert!(!view::mark(location, &refreshed).await.expect("answers"));
        assert!(!target(location).view_is_current().await.expect("looks"));
        claim.show(delta::Planned::default()).await.expect("shown");
        claim.release().await;
        assert!(target(location).view_is_current().await.expect("looks"));
        assert!(hive(location).await.values().all(|content| content == "new"));
    }
}

#[tokio::test]
async fn what_a_run_showed_before_it_died_goes_if_the_next_set_lacks_it() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["a"]).await.expect("published");
        let marker = text(location, marker::MARKER).await.expect("marker");
        run(location, "2026-11-21", &["b"]).await.expect("published");
        let mut claim = claim(location).await;
        // As if the second run had died before it could mark what it showed.
        drop(half_refreshed(&claim, &marker).await);
        let day = day("2026-11-21");
        let table = stage(&claim, TABLE, day, &["c"]).await.expect("staged");
        let others = OtherTables::Drop([OTHER.to_owned()].into());
        let request = Request { others, ..request(day, vec![table]) };
        publish(&mut claim, &request).await.expect("published");
        claim.release().await;
        let files: Vec<String> = hive(location).await.into_keys().collect();
        assert_eq!(
            files,
            [
                "cohort_retention/as_of=2026-11-20/part-00000.parquet",
                "cohort_retention/as_of=2026-11-21/part-00000.parquet",
                "rfm_scores/as_of=2026-11-20/part-00000.parquet",
            ]
        );
    }
}

#[tokio::test]
async fn collecting_keeps_what_is_named_and_the_last_superseded_sets() {
    for place in both() {
        let location = &place.location;
        for parts in [["1"], ["2"], ["3"], ["4"]] {
            run(location, "2026-11-20", &parts).await.expect("published");
        }
        run(location, "2026-11-21", &["other day"]).await.expect("published");
        let claim = claim(location).await;
        let plan = claim.garbage(1).await.expect("plan");
        assert_eq!(plan, target(location).garbage(1).await.expect("the same seen from outside"));
        assert!(plan.removals.iter().all(|removal| removal.why == Why::Superseded));
        assert_eq!((plan.removals.len(), plan.files(), plan.bytes()), (2, 4, 4));
        assert_eq!(claim.garbage(3).await.expect("plan"), GcPlan::default());
        claim.collect(&plan).await.expect("collected");
        assert_eq!(location.folders(SETS).await.expect("lists").len(), 3);
        assert_eq!(claim.garbage(1).await.expect("plan"), GcPlan::default());
        claim.release().await;
        assert_whole(location).await;
        assert_eq!(hive(location).await.len(), 4);
    }
}

#[tokio::test]
async fn what_a_partial_rerun_left_named_is_kept_in_a_superseded_set() {
    let place = memory();
    let location = &place.location;
    run(location, "2026-11-20", &["a"]).await.expect("published");
    let mut claim = claim(location).await;
    let table = stage(&claim, TABLE, day("2026-11-20"), &["b"]).await.expect("staged");
    publish(&mut claim, &request(day("2026-11-20"), vec![table])).await.expect("published");
    let plan = claim.garbage(0).await.expect("plan");
    assert_eq!(plan.files(), 1);
    claim.collect(&plan).await.expect("collected");
    claim.release().await;
    let manifest = target(location).manifest().await.expect("reads").expect("there");
    for file in manifest.named_files() {
        assert!(location.head(&file.path).await.expect("head").is_some(), "{}", file.path);
    }
}

#[tokio::test]
async fn orphans_go_once_a_later_run_has_published() {
    for place in both() {
        let location = &place.location;
        let failed = claim(location).await;
        stage(&failed, TABLE, day("2026-11-20"), &["left"]).await.expect("staged");
        let failed_id = failed.run_id().clone();
        failed.release().await;
        assert_eq!(
            target(location).garbage(0).await.expect("plan"),
            GcPlan::default(),
            "a retry may want it"
        );
        run(location, "2026-11-20", &["a"]).await.expect("published");
        let claim = claim(location).await;
        let plan = claim.garbage(0).await.expect("plan");
        assert_eq!((plan.removals[0].why, &plan.removals[0].run_id), (Why::Orphan, &failed_id));
        claim.collect(&plan).await.expect("collected");
        claim.release().await;
        assert_eq!(location.folders(SETS).await.expect("lists").len(), 1);
    }
}

#[tokio::test]
async fn temporary_files_of_a_killed_process_are_swept() {
    let place = disk();
    let location = &place.location;
    run(location, "2026-11-20", &["a"]).await.expect("published");
    drop(claim(location).await);
    let folder = location.folder().expect("on disk");
    let left = [
        folder.join("_tenure/current.json#77"),
        folder.join("cohort_retention/as_of=2026-11-20/part-00000.parquet#5"),
    ];
    for path in &left {
        std::fs::write(path, "half").expect("written");
    }
    claim(location).await.release().await;
    assert!(left.iter().all(|path| !path.exists()));
    assert!(folder.join("_tenure/current.json").exists());
}

#[tokio::test]
async fn an_unwritable_target_says_so() {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::write(dir.path().join("file"), "not a folder").expect("written");
    let location =
        crate::storage::open("file/out", dir.path(), &Environment::new(), &Options::new())
            .expect("opens");
    let error = target(&location).claim(fresh()).await.err().expect("fails").to_string();
    assert!(error.starts_with("cannot write"), "{error}");
    assert!(error.contains("Not a directory") && error.contains("= help:"), "{error}");
}
