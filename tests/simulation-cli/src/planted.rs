//! Mistakes made on purpose, one at a time: a simulation that does not notice them proves nothing.

use crate::named::named;

named! {
    /// A mistake.
    Planted "planted mistake" {
        Unguarded "unguarded-transition" "Stock is reserved in a transition without its guard";
        IgnoresFailed "ignored-failed-entries" "The relay ignores FailedEntryCount";
        DeletesFirst "delete-before-publish" "Rows are deleted before their events are put";
        SweeperOff "sweeper-off" "Nobody sweeps the outbox";
        UnguardedView "unguarded-projection" "A view is written whatever version stands there";
        NoPagination "no-pagination" "Events are loaded without looking for a second page";
        NoPivot "expiry-without-pivot" "An order expires without its shipment being closed";
        ChargeWithoutPending "charge-without-pending" "A charge is recorded whatever the payment's row says";
        UndoByLookup "undo-by-lookup" "A refund looks whether something was charged, and marks nothing";
        SilentCompensation "silent-compensation" "A compensation that finds nothing to undo says nothing";
        ReleaseTwice "release-twice" "Stock goes back whenever it is asked for";
        UnguardedJoin "unguarded-join" "The last part of a join completes it, whatever is there";
        AcknowledgesFailed "acknowledged-failure" "A batch's failed messages are acknowledged";
        BusId "bus-id" "Causes are told apart by the bus's id, which changes when an event is put again";
        ExpiringRows "expiring-rows" "Rows of a saga expire within minutes";
        TwoProbers "two-probers" "Whoever finds the circuit due probes, whether or not somebody does already";
        NeverHalfOpen "never-half-open" "An open circuit is never tried again";
        NoPostponing "no-postponing" "What waits for the gateway comes again after each visibility timeout";
        BusFirst "bus-before-fifo" "An event is put on the bus before the ordered queue has it";
        Overtaking "overtaking" "A group of the ordered queue goes on while a message of it is to come again";
        NoUpcasting "no-upcasting" "An event of an older version is read as if it were of the newest";
        NoReconciliation "no-reconciliation" "Views whose doorbells were not heard are not looked for";
        OldSnapshotRead "old-snapshot-read" "A snapshot is read in whatever form it was written";
        RebuildLosesArrivals "rebuild-loses-arrivals" "What is appended during a rebuild goes only into the views that are live";
        CountedTwice "counted-twice" "A fact is added to its window whether or not it was before";
        CatchWithoutClose "catch-without-close" "A failed saga is undone without asking the pivot whether it has shipped";
        AlwaysRefunds "always-refunds" "A failed saga is undone whatever the pivot says";
        StartWithoutName "start-without-name" "A saga is started under no name";
        UnfencedCompletion "unfenced-completion" "An idempotency record is changed by whoever comes, owner or not";
        LettersDeletedFirst "letters-deleted-first" "Dead letters are deleted from their queue before they are kept";
        ImportForgets "import-forgets" "An import that is resumed has forgotten what was wrong with the lines before";
        TransformerWithoutId "transformer-without-id" "A rule's transformer drops the event's id";
    }
}
