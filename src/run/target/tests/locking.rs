//! Who may work, and who may still publish.

use std::time::Duration;

use super::support::*;
use crate::run::target::*;

#[tokio::test]
async fn a_second_run_is_told_who_works_since_when() {
    for place in both() {
        let location = &place.location;
        let first = claim(location).await;
        let error = target(location).claim(fresh()).await.err().expect("locked");
        let Error::Locked { holder, .. } = &error else { panic!("{error}") };
        assert_eq!((&holder.run_id, holder.pid), (first.run_id(), std::process::id()));
        assert!(
            error.to_string().contains("another run is working on this target since 20"),
            "{error}"
        );
        // A disk needs no lease to tell who is dead.
        assert_eq!(error.to_string().contains("60 s after"), location.folder().is_none());
        first.release().await;
        claim(location).await.release().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_at_once_one_works() {
    for place in both() {
        let tries = (0..8).map(|_| {
            let target = target(&place.location);
            tokio::spawn(async move { target.claim(fresh()).await })
        });
        let claims: Vec<_> = futures::future::join_all(tries)
            .await
            .into_iter()
            .map(|joined| joined.expect("joins"))
            .collect();
        assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1);
        let others_locked =
            claims.iter().filter(|claim| matches!(claim, Err(Error::Locked { .. }))).count();
        assert_eq!(others_locked, 7);
    }
}

#[tokio::test]
async fn a_dead_process_of_this_machine_does_not_hold_up_the_next_run() {
    let place = disk();
    let died = claim(&place.location).await;
    drop(died);
    claim(&place.location).await.release().await;
}

#[tokio::test]
async fn elsewhere_a_dead_run_holds_the_lock_until_its_lease_ends() {
    let place = memory();
    drop(claim(&place.location).await);
    let error = target(&place.location).claim(fresh()).await.err().expect("locked");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    let state = target(&place.location).lock_state().await.expect("looks").expect("there");
    assert_eq!(state.life, Life::Alive);

    let place = memory();
    drop(expiring(&place.location).claim(fresh()).await.expect("free"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    claim(&place.location).await.release().await;
}

#[tokio::test]
async fn a_run_that_lost_its_lease_cannot_publish_whenever_it_wakes() {
    let place = memory();
    let location = &place.location;
    let mut sleeper = expiring(location).claim(fresh()).await.expect("free");
    let table = stage(&sleeper, TABLE, day("2026-11-20"), &["late"]).await.expect("staged");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let successor = claim(location).await;
    let error = publish(&mut sleeper, &request(day("2026-11-20"), vec![table.clone()]))
        .await
        .expect_err("lost");
    let Error::LeaseLost { to, .. } = &error else { panic!("{error}") };
    assert_eq!(to.as_ref(), Some(successor.run_id()));
    successor.release().await;
    run(location, "2026-11-20", &["right"]).await.expect("published");
    publish(&mut sleeper, &request(day("2026-11-20"), vec![table])).await.expect_err("still lost");
    sleeper.release().await;
    assert_eq!(
        hive(location).await["cohort_retention/as_of=2026-11-20/part-00000.parquet"],
        "right"
    );
    // Nor has its release taken the lock from anybody.
    claim(location).await.release().await;
}

#[tokio::test]
async fn the_heartbeat_keeps_a_lock_and_notices_its_loss() {
    for place in both() {
        let times = LockTimes { ttl: Duration::from_mins(1), heartbeat: Duration::from_millis(10) };
        let target = Target::new(place.location.clone(), Clock::system(), times);
        let holder = target.claim(fresh()).await.expect("free");
        tokio::time::sleep(Duration::from_millis(200)).await;
        holder.check().await.expect("held");
        let beat = target.lock_state().await.expect("looks").expect("there").lease.beat;
        assert!(beat > 1, "{beat}");
        assert!(matches!(target.unlock(Unlock::Dead).await, Err(Error::Locked { .. })));
        // Breaking a living lock may race a heartbeat; then it is tried again.
        while target.unlock(Unlock::Anyway).await.is_err() {}
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(matches!(holder.check().await, Err(Error::LeaseLost { .. })));
        holder.release().await;
    }
}

#[tokio::test]
async fn unlocking_fences_the_holder_out() {
    for place in both() {
        let location = &place.location;
        let mut holder = claim(location).await;
        let table = stage(&holder, TABLE, day("2026-11-20"), &["late"]).await.expect("staged");
        let removed =
            target(location).unlock(Unlock::Anyway).await.expect("unlocks").expect("was locked");
        assert_eq!(&removed.run_id, holder.run_id());
        let error = publish(&mut holder, &request(day("2026-11-20"), vec![table])).await;
        // Nobody has taken over: least of all the run itself.
        assert!(matches!(error, Err(Error::LeaseLost { to: None, .. })), "{error:?}");
        assert!(target(location).unlock(Unlock::Anyway).await.expect("nothing to do").is_none());
    }
}
