//! Publishing when nothing goes wrong.

use super::support::*;
use crate::run::target::*;

#[tokio::test]
async fn a_published_set_is_in_the_manifest_and_in_the_hive_folders() {
    for place in both() {
        let location = &place.location;
        let published = run(location, "2026-11-20", &["aa", "b"]).await.expect("published");
        assert!(matches!(published.view, View::Current));
        let manifest = target(location).manifest().await.expect("reads").expect("is there");
        let entry = manifest.entry(TABLE, day("2026-11-20")).expect("published");
        assert_eq!((entry.rows, entry.bytes, entry.files.len()), (2, 3, 2));
        assert_eq!(manifest.schema_of(entry)[0].name, "cohort");
        assert_eq!(manifest.runs[&entry.run_id].pipeline, "nightly");
        assert_whole(location).await;
        let files = hive(location).await;
        assert_eq!(files["cohort_retention/as_of=2026-11-20/part-00000.parquet"], "aa");
        assert_eq!(files["rfm_scores/as_of=2026-11-20/part-00001.parquet"], "b");
        assert_eq!(files.len(), 4);
    }
}

#[tokio::test]
async fn nothing_is_visible_before_publishing() {
    for place in both() {
        let location = &place.location;
        let claim = claim(location).await;
        stage(&claim, TABLE, day("2026-11-20"), &["a"]).await.expect("staged");
        assert!(claim.manifest().tables.is_empty());
        assert!(hive(location).await.is_empty());
        claim.release().await;
    }
}

#[tokio::test]
async fn another_day_leaves_the_first_untouched_and_a_rerun_replaces_its_own() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["one", "two"]).await.expect("published");
        let first = target(location).manifest().await.expect("reads").expect("there");
        let files_first = first.entry(TABLE, day("2026-11-20")).expect("entry").clone();
        run(location, "2026-11-21", &["next"]).await.expect("published");
        run(location, "2026-11-21", &["again"]).await.expect("published");
        let manifest = target(location).manifest().await.expect("reads").expect("there");
        assert_eq!(manifest.entry(TABLE, day("2026-11-20")), Some(&files_first));
        assert_eq!(manifest.latest(TABLE).expect("latest").0, day("2026-11-21"));
        assert_eq!((manifest.runs.len(), manifest.history.len()), (2, 3));
        let files = hive(location).await;
        assert_eq!(files["cohort_retention/as_of=2026-11-20/part-00001.parquet"], "two");
        assert_eq!(files["cohort_retention/as_of=2026-11-21/part-00000.parquet"], "again");
        assert_whole(location).await;
    }
}

#[tokio::test]
async fn fewer_parts_than_before_leave_no_surplus_and_spare_foreign_files() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["a", "b", "c"]).await.expect("published");
        location
            .put("cohort_retention/as_of=2026-11-20/README.txt", "mine".into())
            .await
            .expect("put");
        run(location, "2026-11-20", &["x"]).await.expect("published");
        let files = hive(location).await;
        let names: Vec<_> = files.keys().filter(|path| path.starts_with("cohort")).collect();
        assert_eq!(
            names,
            [
                "cohort_retention/as_of=2026-11-20/README.txt",
                "cohort_retention/as_of=2026-11-20/part-00000.parquet"
            ]
        );
    }
}

#[tokio::test]
async fn other_tables_are_carried_or_dropped_as_asked() {
    let place = memory();
    let location = &place.location;
    run(location, "2026-11-20", &["a"]).await.expect("published");
    for (others, kept) in
        [(OtherTables::Carry, true), (OtherTables::Drop([OTHER.to_owned()].into()), false)]
    {
        let mut claim = claim(location).await;
        let table = stage(&claim, TABLE, day("2026-11-20"), &["b"]).await.expect("staged");
        let request = Request { others, ..request(day("2026-11-20"), vec![table]) };
        publish(&mut claim, &request).await.expect("published");
        assert_eq!(claim.manifest().entry(OTHER, day("2026-11-20")).is_some(), kept);
        assert_eq!(hive(location).await.keys().any(|path| path.starts_with("rfm_scores")), kept);
        claim.release().await;
    }
}

#[tokio::test]
async fn two_tables_of_one_folder_are_refused() {
    let place = memory();
    let mut claim = claim(&place.location).await;
    let mut tables = Vec::new();
    for table in ["facts.customers", "metrics.customers"] {
        tables.push(stage(&claim, table, day("2026-11-20"), &["a"]).await.expect("staged"));
    }
    let error =
        publish(&mut claim, &request(day("2026-11-20"), tables)).await.expect_err("refused");
    assert!(error.to_string().starts_with(
        "`facts.customers` and `metrics.customers` would both be published as `customers/`"
    ));
    claim.release().await;
}

#[tokio::test]
async fn a_staged_file_that_is_not_whole_is_not_published() {
    for place in both() {
        let location = &place.location;
        let mut claim = claim(location).await;
        let table = stage(&claim, TABLE, day("2026-11-20"), &["whole"]).await.expect("staged");
        location.put(&table.files[0].path, "cut".into()).await.expect("put");
        let error = publish(&mut claim, &request(day("2026-11-20"), vec![table]))
            .await
            .expect_err("refused");
        assert!(
            matches!(error, Error::NotStaged { expected_bytes: 5, found_bytes: Some(3), .. }),
            "{error}"
        );
        assert!(
            target(location)
                .manifest()
                .await
                .expect("reads")
                .expect("fenced")
                .publication
                .is_none()
        );
        claim.release().await;
    }
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts_and_its_checksum_is_right() {
    for place in both() {
        let location = &place.location;
        let claim = claim(location).await;
        let mut upload = claim.upload(TABLE, day("2026-11-20"), 0);
        let chunk = vec![7u8; 1 << 20];
        for _ in 0..25 {
            upload.write(&chunk).await.expect("written");
        }
        let file = upload.finish(1).await.expect("finished");
        assert_eq!(file.bytes, 25 << 20);
        assert_eq!(location.head(&file.path).await.expect("head").expect("there").size, file.bytes);
        claim.release().await;
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing_behind() {
    let place = disk();
    let claim = claim(&place.location).await;
    let mut upload = claim.upload(TABLE, day("2026-11-20"), 0);
    upload.write(&vec![7u8; 25 << 20]).await.expect("written");
    let set = place.location.folder().expect("on disk").join(SETS);
    let set = set.join(claim.run_id().to_string()).join(TABLE).join("as_of=2026-11-20");
    let files = || std::fs::read_dir(&set).map_or(0, Iterator::count);
    assert_eq!(files(), 1, "parts that have arrived");
    upload.abort().await;
    assert_eq!(files(), 0);
    claim.release().await;
}

#[tokio::test]
async fn runs_are_listed_newest_first_with_their_end() {
    for place in both() {
        let location = &place.location;
        run(location, "2026-11-20", &["a"]).await.expect("published");
        let died = claim(location).await;
        let died_id = died.run_id().clone();
        died.journal()
            .record(Step::Audited { checks: 1, failures: vec![] })
            .await
            .expect("recorded");
        let while_running = target(location).runs(10).await.expect("runs");
        assert_eq!(while_running[0].status, Status::Running);
        drop(died);
        target(location).unlock(Unlock::Anyway).await.expect("unlocked");
        let failed = claim(location).await;
        let last = Step::Failed { error: "audit".into(), repeats: true };
        failed.journal().close(last).await.expect("closed");
        failed.release().await;
        let runs = target(location).runs(10).await.expect("runs");
        let ends: Vec<_> = runs.iter().map(|run| run.status).collect();
        assert_eq!(ends, [Status::Failed, Status::Died, Status::Published]);
        assert_eq!(runs[1].run_id, died_id);
        assert_eq!((runs[2].tables, runs[2].rows, runs[2].as_of), (2, 2, Some(day("2026-11-20"))));
        assert_eq!(target(location).runs(1).await.expect("runs").len(), 1);
        assert_eq!(target(location).steps(&runs[2].run_id).await.expect("steps").len(), 3);
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let place = memory();
    place.location.put(CURRENT, r#"{"format": 9}"#.into()).await.expect("put");
    let error = target(&place.location).claim(fresh()).await.err().expect("refused");
    assert!(matches!(error, Error::NewerFormat { found: 9, .. }), "{error}");
}
