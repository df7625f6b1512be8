//! A disk that is full, as etcd sees it: its database has reached its quota, and it takes no more writes.

use anyhow::{Context as _, Result, bail};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, CompactionOptions, DeleteOptions};

use super::Etcd;

/// Where what fills it goes: no key of a fleet.
const FILLER: &str = "/filler/";
/// Bytes of one value: below what etcd takes in a request, 1.5 MiB.
const PIECE: usize = 1 << 20;

impl Etcd {
    /// Writes until there is no space and etcd raises its alarm. Start it with a small
    /// [quota](super::Options::quota_bytes), such as 16 MiB.
    ///
    /// # Errors
    ///
    /// If it fails otherwise, or has no small quota.
    pub async fn fill(&self) -> Result<()> {
        let quota =
            self.options.quota_bytes.context("this etcd has no quota: give it a small one")?;
        let mut client = self.client().await?;
        // It knows its size a moment late.
        for n in 0..=4 * quota / PIECE as u64 {
            match client.put(format!("{FILLER}{n}"), vec![b'x'; PIECE], None).await {
                Ok(_) => {}
                Err(error) if error.to_string().contains("database space exceeded") => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        bail!("etcd has taken four times its quota, {quota} bytes, and is not full")
    }

    /// Makes space again and ends the alarm.
    ///
    /// # Errors
    ///
    /// If a member does not answer.
    pub async fn free(&self) -> Result<()> {
        let mut client = self.client().await?;
        let all = Some(DeleteOptions::new().with_prefix());
        let deleted = client.delete(FILLER, all).await?;
        let revision = deleted.header().context("no header")?.revision();
        client.compact(revision, Some(CompactionOptions::new().with_physical())).await?;
        for n in (0..self.members.len()).filter(|&n| self.members[n].is_meant_to_run()) {
            self.client_of(n).await?.defragment().await?;
        }
        // Each member has an alarm of its own, and ends it only by name.
        for alarm in client.alarm(AlarmAction::Get, AlarmType::Nospace, None).await?.alarms() {
            let mut of = AlarmOptions::new();
            of.with_member(alarm.member_id());
            client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(of)).await?;
        }
        Ok(())
    }
}
