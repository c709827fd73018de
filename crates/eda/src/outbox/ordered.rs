//! Sending by calls that succeed in part, and keeping order all the same.
//!
//! A batch call gives no order to what it holds, and may do only some of it. So it holds one event of an ordering key at
//! most, and the next of that key goes only when the one before it is there. What cannot be sent keeps those behind it from
//! being sent; other keys do not wait.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::time::Duration;

use super::OutboxRow;
use crate::Failure;
use crate::bus::{Verdict, pauses};

/// What keeps the order in which it is given events.
pub(super) trait Channel: Sync {
    /// The most events one call takes.
    const ENTRIES: usize;
    /// The most bytes one call takes.
    const BYTES: usize;

    /// Sends these rows by one call, and says of each whether it was taken.
    fn send(&self, rows: &[&OutboxRow]) -> impl Future<Output = Result<Vec<Verdict>, Failure>> + Send;
}

/// What an event takes beside its payload, at most, in bytes.
const FRAME: usize = 1_024;

/// The rows of one ordering key that are still to be sent.
struct Lane<'a> {
    rows: VecDeque<(usize, &'a OutboxRow)>,
    /// The pauses that are left before its first row is given up.
    pauses: Option<Box<dyn Iterator<Item = Duration> + Send>>,
}

/// Sends rows by calls that succeed in part, each key's in order. Gives the positions of those that were not taken.
pub(super) async fn in_order<C: Channel>(channel: &C, rows: Vec<(usize, &OutboxRow)>) -> Vec<usize> {
    let mut unsent = Vec::new();
    let mut lanes = lanes(rows);
    while !lanes.is_empty() {
        let mut bytes = 0;
        let fitting = lanes.iter().take(C::ENTRIES).take_while(|lane| {
            bytes += lane.rows.front().map_or(0, |(_, row)| row.detail.len() + FRAME);
            bytes <= C::BYTES
        });
        // What does not even fit alone is for the channel to refuse.
        let going: Vec<_> = lanes.drain(..fitting.count().max(1)).collect();
        let heads: Vec<_> = going.iter().filter_map(|lane| lane.rows.front().map(|(_, row)| *row)).collect();
        let verdicts = match channel.send(&heads).await {
            Ok(verdicts) => verdicts,
            Err(failure) => {
                tracing::warn!(
                    failure = failure.chain(),
                    rows = heads.len(),
                    "an ordered channel did not answer"
                );
                unsent.extend(going.into_iter().flat_map(|lane| lane.rows).map(|(index, _)| index));
                continue;
            }
        };
        let mut pause = Duration::ZERO;
        for (mut lane, verdict) in going.into_iter().zip(verdicts) {
            let goes_on = match verdict {
                Verdict::Taken => {
                    lane.rows.pop_front();
                    lane.pauses = None;
                    true
                }
                Verdict::Never => false,
                Verdict::Again => match lane.pauses.get_or_insert_with(|| Box::new(pauses())).next() {
                    Some(wait) => {
                        pause = pause.max(wait);
                        true
                    }
                    None => false,
                },
            };
            match goes_on {
                true if lane.rows.is_empty() => {}
                true => lanes.push_back(lane),
                false => unsent.extend(lane.rows.into_iter().map(|(index, _)| index)),
            }
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    unsent
}

fn lanes(rows: Vec<(usize, &OutboxRow)>) -> VecDeque<Lane<'_>> {
    let mut lanes: VecDeque<Lane<'_>> = VecDeque::new();
    let mut place: HashMap<&str, usize> = HashMap::new();
    for (index, row) in rows {
        let at = *place.entry(&row.ordering_key).or_insert(lanes.len());
        match lanes.get_mut(at) {
            Some(lane) => lane.rows.push_back((index, row)),
            None => lanes.push_back(Lane { rows: VecDeque::from([(index, row)]), pauses: None }),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn row(key: &str, event: usize) -> OutboxRow {
        OutboxRow {
            ordering_key: key.into(),
            event_id: event.to_string(),
            source: "s".into(),
            detail_type: "t".into(),
            detail: "{}".into(),
            created_at: 0,
            group: Some("g".into()),
            counted: false,
            trace: None,
        }
    }

    /// Takes three events per call, and says what becomes of an event the nth time it is sent.
    struct Recorder<A> {
        calls: Mutex<Vec<Vec<String>>>,
        answer: A,
    }

    impl<A: Fn(&str, usize) -> Verdict + Sync> Channel for Recorder<A> {
        const ENTRIES: usize = 3;
        const BYTES: usize = 1 << 20;

        async fn send(&self, rows: &[&OutboxRow]) -> Result<Vec<Verdict>, Failure> {
            let mut calls = self.calls.lock().unwrap();
            let ids: Vec<_> = rows.iter().map(|row| row.event_id.clone()).collect();
            let before = |id: &String| calls.iter().flatten().filter(|sent| *sent == id).count();
            let verdicts = ids.iter().map(|id| (self.answer)(id, before(id))).collect();
            calls.push(ids);
            Ok(verdicts)
        }
    }

    /// Sends rows of these keys. Gives the calls, and what stayed.
    async fn sent(
        keys: &[&str],
        answer: impl Fn(&str, usize) -> Verdict + Sync,
    ) -> (Vec<Vec<String>>, Vec<usize>) {
        let rows: Vec<_> = keys.iter().enumerate().map(|(event, key)| row(key, event)).collect();
        let recorder = Recorder { calls: Mutex::default(), answer };
        let mut unsent = in_order(&recorder, rows.iter().enumerate().collect()).await;
        unsent.sort_unstable();
        (recorder.calls.into_inner().unwrap(), unsent)
    }

    #[tokio::test]
    async fn a_call_holds_one_event_of_a_key_at_most() {
        let (calls, unsent) = sent(&["a", "a", "b", "a", "c"], |_, _| Verdict::Taken).await;
        assert_eq!(calls, [vec!["0", "2", "4"], vec!["1"], vec!["3"]]);
        assert!(unsent.is_empty());
    }

    #[tokio::test]
    async fn a_call_holds_as_many_events_as_it_takes() {
        let (calls, _) = sent(&["a", "b", "c", "d", "e"], |_, _| Verdict::Taken).await;
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_only_in_part_keeps_its_order() {
        let throttled =
            |id: &str, before| if id == "0" && before < 2 { Verdict::Again } else { Verdict::Taken };
        let (calls, unsent) = sent(&["a", "a", "b"], throttled).await;
        assert_eq!(calls, [vec!["0", "2"], vec!["0"], vec!["0"], vec!["1"]]);
        assert!(unsent.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_past_what_cannot_be_sent_and_other_keys_do_not_wait() {
        for verdict in [Verdict::Again, Verdict::Never] {
            let (calls, unsent) =
                sent(&["a", "a", "b", "b"], |id, _| if id == "0" { verdict } else { Verdict::Taken }).await;
            assert_eq!(unsent, [0, 1], "{verdict:?}");
            assert!(!calls.iter().flatten().any(|id| id == "1"), "{calls:?}");
            assert!(calls.iter().flatten().any(|id| id == "3"), "{calls:?}");
        }
    }
}
